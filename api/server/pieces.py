"""Sends large responses in pieces, so that a client that does not read buffers only one piece."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.server.limits import PIECE_BYTES


class InPieces:
    """Middleware that splits large response bodies.

    Args:
        app: The app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def send_in_pieces(message: Message) -> None:
            body = message.get("body", b"")
            if len(body) > PIECE_BYTES:
                rest = memoryview(body)
                while len(rest) > PIECE_BYTES:
                    piece, rest = rest[:PIECE_BYTES], rest[PIECE_BYTES:]
                    await send({"type": message["type"], "body": piece, "more_body": True})
                message = {**message, "body": rest}
            await send(message)

        await self._app(scope, receive, send_in_pieces)
