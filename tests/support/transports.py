"""A transport without a network."""

import asyncio
from typing import Any


class FakeTransport(asyncio.Transport):
    """Takes what a protocol writes, and tells it of its end as the event loop would.

    Attributes:
        protocol: Whose transport it is.
        written: What was written.
        reading: Whether data may come.
        ended: No more will be written.
        reads: Whether the other end takes what was written; otherwise a close waits for it.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = bytearray()
        self.reading = True
        self.ended = False
        self.reads = True
        self.closed = False
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401, ARG002
        return default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, "written after the end"
        if not self.closed:
            self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        if self.reads:
            self.abort()

    def abort(self) -> None:
        self._closing = True
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)
