"""A process that was started in a node."""

import os
import select
import signal
from pathlib import Path

from deploy.lab.errors import LabError

_STOP_WITHIN_S = 15.0


class NodeProcess:
    """A child process, its log, and how it ended.

    Attributes:
        name: For people: `lb1.director`.
        pid: Its process id.
        log: What it wrote to its output and errors.
    """

    def __init__(self, name: str, pid: int, log: Path) -> None:
        self.name = name
        self.pid = pid
        self.log = log
        self._pidfd = os.pidfd_open(pid)
        self._status: int | None = None

    def __repr__(self) -> str:
        state = "running" if self.is_alive() else f"ended with {self._status}"
        return f"<{self.name}, process {self.pid}, {state}>"

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return not self._ended_within(0)

    def wait(self, within_s: float) -> int:
        """Wait until it has ended.

        Returns:
            Its exit status, negative for the signal that killed it.

        Raises:
            LabError: It still runs.
        """
        if not self._ended_within(within_s):
            raise LabError(f"{self.name} still runs after {within_s:g} s; its log:\n{self.tail()}")
        assert self._status is not None  # noqa: S101 - what _ended_within has just set
        return self._status

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.is_alive():
            signal.pidfd_send_signal(self._pidfd, number)

    def stop(self, within_s: float = _STOP_WITHIN_S) -> int:
        """Send SIGTERM and wait; see `wait`."""
        self.signal(signal.SIGTERM)
        return self.wait(within_s)

    def kill(self) -> int:
        """Send SIGKILL and wait; see `wait`."""
        self.signal(signal.SIGKILL)
        return self.wait(_STOP_WITHIN_S)

    def tail(self, lines: int = 30) -> str:
        """Read the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _ended_within(self, within_s: float) -> bool:
        if self._status is not None:
            return True
        readable, _, _ = select.select([self._pidfd], [], [], within_s)
        if readable:
            _, status = os.waitpid(self.pid, 0)
            self._status = os.waitstatus_to_exitcode(status)
            os.close(self._pidfd)
        return bool(readable)
