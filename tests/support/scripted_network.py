"""A network in memory below the HTTP client: whatever is connected to plays a script."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore
import httpx

from tests.support.hostile_director import Script

_MOST_AT_ONCE = 65536


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(
        self,
        answer: Callable[[bytes], Script],
        sent: Callable[[int], None],
        address: tuple[str, int],
    ) -> None:
        self._answer = answer
        self._sent = sent
        self._address = address
        self._request = b""
        self._parts: Iterator[bytes | float] | None = None
        self._rest = b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109, ARG002
        self._request += buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109, ARG002
        if self._parts is None:
            self._parts = iter(self._answer(self._request))
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return b""
            if isinstance(part, float):
                await asyncio.sleep(part)
            else:
                self._rest = part
        most = min(max_bytes, _MOST_AT_ONCE)
        piece, self._rest = self._rest[:most], self._rest[most:]
        self._sent(len(piece))
        return piece

    async def aclose(self) -> None:
        pass

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401
        return self._address if info == "server_addr" else None


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, answer: Callable[[bytes], Script], sent: Callable[[int], None]) -> None:
        self._answer = answer
        self._sent = sent

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(self._answer, self._sent, (host, port))


def scripted_transport(
    answer: Callable[[bytes], Script], sent: Callable[[int], None]
) -> httpx.AsyncBaseTransport:
    """Return a transport for httpx.

    Args:
        answer: Returns the script for a request, which is its head and body.
        sent: Told how many bytes were read.
    """
    transport = httpx.AsyncHTTPTransport()
    transport._pool = httpcore.AsyncConnectionPool(network_backend=_Backend(answer, sent))
    return transport
