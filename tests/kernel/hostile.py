"""A hostile director on a node of the lab; the test says what it answers next."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.lab.node import Node
from deploy.lab.process import NodeProcess
from tests.support.hostile_director import CASES, Farm, Hostile


@dataclass
class HostileDirector:
    """A process that plays the scripts of :mod:`tests.support.hostile_director`.

    Attributes:
        node: Where it runs.
        address: Where it listens.
        port: Likewise.
        farm: What it knows.
        folder: Where it and the test talk.
    """

    node: Node
    address: str
    port: int
    farm: Farm
    folder: Path
    _turns: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def start(self) -> NodeProcess:
        """Answer well from now on."""
        self.folder.mkdir(parents=True)
        self.turn("")
        return self.node.fork(lambda: asyncio.run(self._run()), f"hostile-{self.port}")

    def turn(self, case: str) -> None:
        """Answer with a case from now on, or with an empty name well."""
        self._asked.write_text("")
        self._turns += 1
        new = self._case.with_suffix(".new")
        new.write_text(json.dumps([case, str(self._turns)]))
        new.replace(self._case)

    def answered(self, case: str) -> bool:
        """Tell whether it has answered so since it was told to."""
        return f"{json.dumps(case)}\n" in self._asked.read_text()

    @property
    def _case(self) -> Path:
        return self.folder / "case"

    @property
    def _asked(self) -> Path:
        return self.folder / "asked"

    async def _run(self) -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        server = await asyncio.start_server(self._serve, self.address, self.port)
        async with server:
            await stopped.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hostile = Hostile(self.farm)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                request = await _request(reader)
                case = self._turned(hostile)
                await self._play(hostile, hostile.script(request), writer)
                if request.startswith(b"GET "):
                    self._note(case)
        finally:
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()

    def _turned(self, hostile: Hostile) -> str:
        name, hostile.tag = json.loads(self._case.read_text())
        hostile.case = CASES.get(name)
        return str(name)

    async def _play(
        self, hostile: Hostile, script: Iterable[bytes | float], writer: asyncio.StreamWriter
    ) -> None:
        for part in script:
            if isinstance(part, float):
                await asyncio.sleep(part)
                self._turned(hostile)
            else:
                writer.write(part)
                # One that is cut off has been answered all the same.
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                if writer.is_closing():
                    return

    def _note(self, case: str) -> None:
        if case == json.loads(self._case.read_text())[0]:
            with self._asked.open("a") as lines:
                lines.write(f"{json.dumps(case)}\n")


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    return head + await reader.readexactly(lengths[0] if lengths else 0)
