"""Who may use the API, and in whose name: the one place that lets a request through."""

import contextlib
from collections.abc import Callable, Collection
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.daemon import Daemon
from api.permissions import RENEWAL, Permission, Permissions
from api.problems import FORBIDDEN, NO_TOKEN, TOKEN_EXPIRED, RequestRefused, problem_response
from lvsctl.director.access.credentials import Credentials
from lvsctl.director.access.edits import ConfirmRenewal
from lvsctl.director.access.failed_attempts import WRONG_TOKEN
from lvsctl.director.access.principal import Principal
from lvsctl.director.access.refusals import NO_TOKEN as NO_TOKEN_SHOWN
from lvsctl.director.access.refusals import Refusals
from lvsctl.errors import BoundaryError
from lvsctl.farm.access import Role
from lvsctl.net import IPAddress

OPEN_PATHS = frozenset({"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"})
OPEN_FOLDER = "/static-offline-docs/"
AUTHENTICATED = "lvsctl.authenticated"
"""In a request's state, what is to be called once it has shown a valid credential."""
PEER_UID = "lvsctl.peer_uid"
"""In a request's state, the user at the other end of the UNIX socket."""
PRINCIPAL = "lvsctl.principal"
"""In a request's scope, who makes it."""


class Access:
    """Lets a request through if its credential has the role that its route needs.

    A credential is a token, or to have come over the UNIX socket, which the kernel opens to root
    and the director's own user alone.

    Args:
        app: What it stands before.
        permissions: What each route needs.
        credentials: Returns what is accepted.
        refusals: Returns where refusals are recorded.
    """

    def __init__(
        self,
        app: ASGIApp,
        permissions: Permissions,
        credentials: Callable[[], Credentials],
        refusals: Callable[[], Refusals],
    ) -> None:
        self._app = app
        self._permissions = permissions
        self._credentials = credentials
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 403, or pass the request on."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except RequestRefused as refused:
                await problem_response(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        principal = self._principal(scope)
        scope[PRINCIPAL] = principal
        if principal is not None and not principal.expired:
            scope.get("state", {}).get(AUTHENTICATED, _nobody_cares)()
        if _is_open(scope["path"]):
            return
        try:
            needed = self._permissions.find(scope["method"], scope["path"])
        except RequestRefused:
            if principal is None or principal.expired:  # a stranger is not told what there is
                raise _no_token() from None
            raise
        if needed.roles is None:
            return
        record = self._refusals().record
        if principal is None:
            if "authorization" not in Headers(scope=scope):
                record(source_of(scope), NO_TOKEN_SHOWN)
            raise _no_token()
        if principal.expired and not (needed.route == RENEWAL and principal.role is Role.AGENT):
            record(principal.source, "expired token", principal.name)
            raise _expired(principal)
        if not needed.allows(principal):
            record(principal.source, f"{principal.role} may not {needed.route}", principal.name)
            raise _forbidden(principal, needed, scope)

    def _principal(self, scope: Scope) -> Principal | None:
        if came_over_unix_socket(scope):
            return self._credentials().of_local_user(scope.get("state", {}).get(PEER_UID, 0))
        header = Headers(scope=scope).get("authorization", "")
        if not header:
            return None
        scheme, _, token = header.partition(" ")
        source = source_of(scope)
        if scheme.lower() == "bearer":
            principal = self._credentials().of_token(token.strip(), source)
            if principal is not None:
                return principal
        self._refusals().record(source, WRONG_TOKEN)
        return None


def came_over_unix_socket(scope: Scope) -> bool:
    """Say whether a request came over the director's UNIX socket."""
    address, port = scope.get("server") or ("", None)
    return port is None and address.startswith("/")  # ASGI: its path stands for the address


def source_of(scope: Scope) -> str:
    """Return the address that a request came from."""
    client = scope.get("client")
    return client[0] if client else "unknown"


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _no_token() -> RequestRefused:
    return RequestRefused(
        NO_TOKEN,
        "this director asks for a token: send the header Authorization: Bearer <token>",
        headers={"WWW-Authenticate": 'Bearer realm="lvsctl"'},
    )


def _expired(principal: Principal) -> RequestRefused:
    return RequestRefused(
        TOKEN_EXPIRED,
        f"the token {principal.name} has expired; an administrator can give it a new secret: "
        f"lvsctl token rotate {principal.name}",
        headers={"WWW-Authenticate": 'Bearer realm="lvsctl", error="invalid_token"'},
    )


def _forbidden(principal: Principal, needed: Permission, scope: Scope) -> RequestRefused:
    what = f"{scope['method']} {scope['path']}"
    if principal.role in (needed.roles or ()):
        detail = f"agent {principal.name} may speak only for itself, not for {needed.agent}: {what}"
    else:
        roles = " or ".join(sorted(needed.roles or ()))
        detail = f"{principal.name} has the role {principal.role}; {what} needs {roles}"
    return RequestRefused(FORBIDDEN, detail)


def refuse_foreign_pools(principal: Principal, pools: Collection[str], refusals: Refusals) -> None:
    """Refuse an agent that wants to join or leave pools which its credential does not name.

    Raises:
        RequestRefused: 403.
    """
    foreign = sorted({*pools} - {*principal.pools})
    if principal.role is Role.AGENT and foreign:
        refusals.record(principal.source, "agent may not join a pool", principal.name)
        raise RequestRefused(
            FORBIDDEN,
            f"agent {principal.name} may join {', '.join(principal.pools) or 'no pool'}, not "
            f"{', '.join(foreign)}; give it a token for these pools too",
        )


def refuse_foreign_address(principal: Principal, address: IPAddress, refusals: Refusals) -> None:
    """Refuse an agent that wants to register another address than it joined with.

    Raises:
        RequestRefused: 403.
    """
    if principal.address not in (None, address):
        refusals.record(principal.source, "agent may not register another address", principal.name)
        raise RequestRefused(
            FORBIDDEN,
            f"agent {principal.name} joined as {principal.address}, not {address}; if its address "
            f"has changed, revoke and remove it (lvsctl agent revoke {principal.name}, lvsctl "
            f"agent remove {principal.name}), and let it join again",
        )


def _nobody_cares() -> None:
    """Stand in for a server that need not know."""


async def principal_of(request: Request) -> Principal:
    """Return who makes a request."""
    principal: Principal = request.scope[PRINCIPAL]
    return principal


Asking = Annotated[Principal, Depends(principal_of)]


async def confirm_renewal(daemon: Daemon, asking: Asking) -> None:
    """End the older secrets of an agent that shows its newest; if the store fails, next time."""
    edit = ConfirmRenewal(asking.name, asking.digest)
    if asking.role is Role.AGENT and any(
        daemon.state.value(object_id) != value
        for object_id, value in edit.changes(daemon.state).items()
    ):
        with contextlib.suppress(BoundaryError):
            await daemon.writer.write(edit, by=asking.author, source=asking.source)
