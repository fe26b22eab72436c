"""Large answers in pieces, so that a client that does not read holds one of them only."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.server.limits import PIECE_BYTES


class InPieces:
    """Sends each piece of a body when the connection has room for it.

    Args:
        app: Whose answers they are.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

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
