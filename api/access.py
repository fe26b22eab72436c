"""Who may use the API, and in whose name."""

import hmac
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.failed_attempts import FailedAttempts
from api.problems import BAD_REQUEST, NO_TOKEN, RequestRefused, problem_response

OPEN_PATHS = frozenset(
    {"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
)
OPEN_FOLDER = "/static-offline-docs/"
MAX_USER = 64
USER_HEADER = "X-Lvsctl-User"
AUTHENTICATED = "lvsctl.authenticated"
"""In a request's state, what is to be called once it has shown a valid credential."""


class Access:
    """Lets only requests with a valid credential through, except to what tells nothing of the farm.

    That is the token, or to have come over the UNIX socket, which the kernel opens to root and
    the director's own user alone.

    Args:
        app: What it stands before.
        token: The one token there is.
        failed: Notes wrong tokens.
    """

    def __init__(self, app: ASGIApp, token: str, failed: FailedAttempts) -> None:
        self._app = app
        self._expected = _digest(token)
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on."""
        if scope["type"] == "http":
            if came_over_unix_socket(scope) or self._shows_token(scope):
                scope.get("state", {}).get(AUTHENTICATED, _nobody_cares)()
            elif not _is_open(scope["path"]):
                await problem_response(_no_token())(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _shows_token(self, scope: Scope) -> bool:
        header = Headers(scope=scope).get("authorization", "")
        scheme, _, token = header.partition(" ")
        # Equal lengths make the comparison take equally long.
        right = hmac.compare_digest(_digest(token.strip()), self._expected)
        if header and not (right and scheme.lower() == "bearer"):
            self._failed.note(source_of(scope))
        return right and scheme.lower() == "bearer"


def came_over_unix_socket(scope: Scope) -> bool:
    """Say whether a request came over the director's UNIX socket."""
    address, port = scope.get("server") or ("", None)
    return port is None and address.startswith("/")  # ASGI: its path stands for the address


def source_of(scope: Scope) -> str:
    """Return where a request came from."""
    if came_over_unix_socket(scope):
        return "UNIX socket"
    client = scope.get("client")
    return client[0] if client else "unknown"


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _no_token() -> RequestRefused:
    return RequestRefused(
        NO_TOKEN,
        "this director asks for a token: send the header Authorization: Bearer <token>",
        headers={"WWW-Authenticate": 'Bearer realm="lvsctl"'},
    )


def _nobody_cares() -> None:
    """Stand in for a server that need not know."""


async def asking(
    request: Request,
    user: Annotated[
        str,
        Header(
            alias=USER_HEADER,
            description="Who asks, for the history; left out, the client's address.",
            json_schema_extra={"pattern": f"^[ -~]{{0,{MAX_USER}}}$"},
        ),
    ] = "",
) -> str:
    """Return who made a request, for the history."""
    try:
        name = user.encode("latin-1").decode().strip()
    except UnicodeDecodeError:
        raise _no_name() from None
    if len(name) > MAX_USER or not name.isprintable():
        raise _no_name()
    return name or source_of(request.scope)


def _no_name() -> RequestRefused:
    return RequestRefused(
        BAD_REQUEST,
        f"the header {USER_HEADER} is no name; send up to {MAX_USER} characters that print, in "
        "UTF-8",
    )


By = Annotated[str, Depends(asking)]
