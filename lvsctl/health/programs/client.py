"""Client of the program service: systemd's ``lvsctl-exec``, or a child of the director."""

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
"""Address of a UNIX socket: a path, or an abstract name as bytes."""


class NoService(LvsctlError):
    """The service that runs programs is not available; says why, and the cure."""


class Programs(Protocol):
    """A service that runs programs."""

    async def run(self, order: Order) -> Answer:
        """Run a program to its end; if cancelled, it is killed with its descendants.

        Raises:
            NoService: The service could not be reached, or did not answer.
        """


@dataclass(frozen=True, slots=True)
class SystemdPrograms:
    """The service behind ``lvsctl-exec.socket``.

    Attributes:
        path: Path of the socket.
    """

    path: Path

    async def run(self, order: Order) -> Answer:
        """Return how a program ended."""
        try:
            return await _ask(str(self.path), order)
        except OSError as error:
            raise NoService(
                f"{order.program} was not run: no answer from {self.path} "
                f"({error.strerror or error}): systemctl status lvsctl-exec.socket"
            ) from error


class OwnPrograms:
    """A service that this process starts, restarts if it exits, and stops when it exits itself.

    It must be created and used in the main thread, as the service is sent SIGTERM when the thread
    that started it ends (PR_SET_PDEATHSIG).

    Args:
        folder: Folder with the programs.
        user: User that they run as; None for the user of this process.
        owner: Required owner of the folder and the programs.
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
            raise NoService(f"{order.program} was not run: {error.strerror or error}") from error

    def close(self) -> None:
        """Stop the service and every running program."""
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
