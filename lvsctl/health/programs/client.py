"""Where the director's orders go: to systemd's service, or to one that it starts itself."""

import asyncio
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lvsctl.errors import LvsctlError
from lvsctl.health.programs.messages import (
    MAX_ANSWER,
    Answer,
    BadMessage,
    Order,
    decode_answer,
    encode,
)

Address = str | bytes
"""Of a UNIX socket."""


class NoService(LvsctlError):
    """Nobody runs programs for this director; says why, and the cure."""


class Programs(Protocol):
    """A service that runs programs."""

    async def run(self, order: Order) -> Answer:
        """Return how a program ended; cancelled, it is killed with all that it started.

        Raises:
            NoService: The service could not be asked, or did not answer.
        """


@dataclass(frozen=True, slots=True)
class SystemdPrograms:
    """The service behind ``lvsctl-exec.socket``.

    Attributes:
        path: Of its socket.
    """

    path: Path

    async def run(self, order: Order) -> Answer:
        """Return how a program ended."""
        try:
            return await _ask(str(self.path), order)
        except OSError as error:
            raise NoService(
                f"{order.program} is not run, as {self.path} does not answer "
                f"({error.strerror or error}): systemctl status lvsctl-exec.socket"
            ) from error


class OwnPrograms:
    """A service that this process starts, and starts again if it ends; it ends with this process.

    To be made and used in the main thread: its end is what ends the service.

    Args:
        folder: The programs.
        user: Whom they run as; None for whoever runs this process.
        owner: Whose the folder and the programs must be.
    """

    def __init__(self, folder: Path, user: int | None, owner: int = 0) -> None:
        self._folder = folder
        self._user = user
        self._owner = owner
        self._process, self._address = self._start()

    async def run(self, order: Order) -> Answer:
        """Return how a program ended."""
        try:
            if self._process.poll() is not None:
                self._process, self._address = self._start()
            return await _ask(self._address, order)
        except OSError as error:
            raise NoService(f"{order.program} is not run: {error.strerror or error}") from error

    def close(self) -> None:
        """End it, with every program that runs."""
        self._process.terminate()
        self._process.wait()

    def _start(self) -> tuple[subprocess.Popen[bytes], Address]:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("")  # an abstract name that the kernel chooses, unix(7)
            listener.listen(socket.SOMAXCONN)
            command = [sys.executable, "-m", "lvsctl.health.programs.main"]
            command += ["--exec-dir", str(self._folder), "--parent", str(os.getpid())]
            command += ["--owner", str(self._owner)]
            command += [] if self._user is None else ["--run-as", str(self._user)]
            return subprocess.Popen(command, stdin=listener.fileno()), listener.getsockname()


async def _ask(address: Address, order: Order) -> Answer:
    reader, writer = await asyncio.open_unix_connection(
        address,  # type: ignore[arg-type] # bytes too, for an abstract name
        limit=MAX_ANSWER,
    )
    try:
        writer.write(encode(order))
        return decode_answer(await reader.readline())
    except (BadMessage, ValueError) as error:
        raise OSError(f"the service that runs programs gave no answer: {error}") from error
    finally:
        writer.transport.abort()
