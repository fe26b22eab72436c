"""Load: new connections at a steady rate, from a process of its own."""

import asyncio
import contextlib
import dataclasses
import json
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from deploy.lab.application import HTTP_PORT
from deploy.lab.client import Answer
from deploy.lab.errors import LabError
from deploy.lab.node import Node

_REQUEST = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"


class Load:
    """A load that runs from now on, for a while or until it is stopped.

    Each request has a connection of its own, and the next one does not wait for its answer.

    Args:
        node: The client.
        address: The VIP.
        per_s: How many requests begin in a second.
        for_s: For how long; until `stop`, if not given.
        port: The service's.
        timeout_s: How long each may take.
    """

    def __init__(
        self,
        node: Node,
        address: str,
        *,
        per_s: float,
        for_s: float = float("inf"),
        port: int = HTTP_PORT,
        timeout_s: float = 3.0,
    ) -> None:
        self._for_s = for_s
        self._timeout_s = timeout_s
        node.logs.mkdir(parents=True, exist_ok=True)
        self._answers = node.logs / f"{node.name}.load-{time.monotonic_ns()}.jsonl"
        self._answers.touch()
        plan = _Plan(address, port, per_s, for_s, timeout_s)
        self._process = node.fork(lambda: asyncio.run(_run(plan, self._answers)), "load")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.signal(signal.SIGKILL)
        self._process.kill()

    def so_far(self) -> list[Answer]:
        """Return how the requests that have ended went."""
        complete, _, _ = self._answers.read_text().rpartition("\n")
        return [Answer(**json.loads(line)) for line in complete.splitlines()]

    def finish(self) -> list[Answer]:
        """Wait for its end, and return how every request went.

        Raises:
            LabError: It did not end in time, or crashed.
        """
        return self._ended(self._process.wait(self._for_s + self._timeout_s + 10))

    def stop(self) -> list[Answer]:
        """Begin no more requests, await those that run, and return how every one went."""
        return self._ended(self._process.stop(self._timeout_s + 10))

    def _ended(self, status: int) -> list[Answer]:
        if status != 0:
            raise LabError(f"{self._process}: {self._process.tail()}")
        return self.so_far()


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    address: str
    port: int
    per_s: float
    for_s: float
    timeout_s: float


async def _run(plan: _Plan, answers: Path) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    with answers.open("a", buffering=1) as lines:
        async with asyncio.TaskGroup() as group:
            began, sent = loop.time(), 0
            while sent < plan.per_s * plan.for_s and not stopped.is_set():
                group.create_task(_request(plan, lines))
                sent += 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), began + sent / plan.per_s - loop.time())


async def _request(plan: _Plan, lines: TextIO) -> None:
    at_s, began = time.time(), time.perf_counter()
    said, error = {}, None
    try:
        async with asyncio.timeout(plan.timeout_s):
            said = await _exchange(plan)
    except (OSError, ValueError, asyncio.IncompleteReadError) as failure:
        error = repr(failure)
    answer = Answer(at_s, time.perf_counter() - began, error=error, **said)
    lines.write(json.dumps(dataclasses.asdict(answer)) + "\n")


async def _exchange(plan: _Plan) -> dict[str, Any]:
    reader, writer = await asyncio.open_connection(plan.address, plan.port)
    try:
        writer.write(_REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.rpartition(b"Content-Length: ")[2])
        said: dict[str, Any] = json.loads(await reader.readexactly(length))
        return said
    finally:
        writer.close()
