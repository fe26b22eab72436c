"""Who may ask, and who asks."""

import hmac
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import BAD_REQUEST, NO_TOKEN, RequestRefused, problem_response

OPEN_PATHS = frozenset(
    {"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
)
OPEN_FOLDER = "/static-offline-docs/"
MAX_USER = 64
USER_HEADER = "X-Lvsctl-User"


class BearerToken:
    """Lets only requests with the token through, except to what tells nothing of the farm.

    Args:
        app: What it stands before.
        token: The one token there is; None lets everybody through.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else f"bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on."""
        if scope["type"] == "http" and self._expected and not self._admits(scope):
            refused = RequestRefused(
                NO_TOKEN,
                "this director asks for a token: send the header Authorization: Bearer <token>",
                headers={"WWW-Authenticate": 'Bearer realm="lvsctl"'},
            )
            await problem_response(refused)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        path = scope["path"]
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return True
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        sent = f"{scheme.lower()} {token.strip()}".encode("latin-1", "replace")
        return hmac.compare_digest(sent, self._expected or b"")


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
    """Return who asks, for the history."""
    try:
        name = user.encode("latin-1").decode().strip()
    except UnicodeDecodeError:
        raise _no_name() from None
    if len(name) > MAX_USER or not name.isprintable():
        raise _no_name()
    return name or (request.client.host if request.client else "unknown")


def _no_name() -> RequestRefused:
    return RequestRefused(
        BAD_REQUEST,
        f"the header {USER_HEADER} is no name; send up to {MAX_USER} characters that print, in "
        "UTF-8",
    )


By = Annotated[str, Depends(asking)]
