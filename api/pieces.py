"""Large responses, sent in pieces without ever making a copy of the whole."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE_BYTES = 64 * 1024


def joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join parts to pieces of at least ``PIECE_BYTES``."""
    small: list[bytes] = []
    size = 0
    for part in parts:
        small.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(small)
            small, size = [], 0
    if small:
        yield b"".join(small)


class PiecesResponse(Response):
    """A response whose body consists of pieces."""

    def __init__(
        self,
        pieces: Sequence[bytes],
        status: HTTPStatus,
        headers: Mapping[str, str],
        media_type: str | None = None,
    ) -> None:
        length = str(sum(map(len, pieces)))
        super().__init__(None, status, {**headers, "Content-Length": length}, media_type)
        self._pieces = pieces

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
