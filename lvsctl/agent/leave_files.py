"""A request to leave and its progress, as files that the command and the daemon share."""

from dataclasses import dataclass

from lvsctl.agent import files
from lvsctl.agent.state_files import StateFiles

REQUEST = "leave.json"
_PROGRESS = "leave-progress.json"


@dataclass(frozen=True, slots=True)
class LeaveRequest:
    """A request that the agent leave; it is kept until it has been carried out or refused.

    Attributes:
        id: Unique.
        deadline_s: How long connections may take to end, in seconds.
        force: Undo the set-up even if no director confirms.
    """

    id: str
    deadline_s: float
    force: bool


@dataclass(frozen=True, slots=True)
class LeaveProgress:
    """Progress of a leave.

    Attributes:
        id: That of the request.
        lines: Progress messages for a person.
        left: Whether the host was restored; None while the leave is running.
    """

    id: str
    lines: tuple[str, ...]
    left: bool | None = None


class LeaveFiles:
    """The request to leave and its progress, in the state folder."""

    def __init__(self, state_files: StateFiles) -> None:
        self._files = state_files

    def request(self) -> LeaveRequest | None:
        """Return the pending request."""
        return self._files.read(REQUEST, LeaveRequest)

    def save_request(self, request: LeaveRequest) -> None:
        """Ask the process that holds the lock, now or next, to leave."""
        self._files.write(REQUEST, request)

    def delete_request(self) -> None:
        """Delete the request: it has been answered."""
        files.remove(self._files.path / REQUEST)

    def discard_request(self) -> None:
        """Delete an unreadable request, preserving it as ``*.damaged``."""
        files.preserve_damaged(self._files.path / REQUEST)
        files.remove(self._files.path / REQUEST)

    def progress(self) -> LeaveProgress | None:
        """Return the progress of the last leave."""
        return self._files.read(_PROGRESS, LeaveProgress)

    def save_progress(self, progress: LeaveProgress) -> None:
        """Save the progress of a leave."""
        self._files.write(_PROGRESS, progress, durable=False)

    def delete_progress(self) -> None:
        """Delete the progress of the last leave."""
        files.remove(self._files.path / _PROGRESS)
