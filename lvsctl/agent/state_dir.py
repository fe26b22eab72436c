"""The agent's state folder, which lets a restart or reboot take nothing out of service."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lvsctl.agent import files
from lvsctl.agent.assignments import Assignments
from lvsctl.agent.config import AgentConfig
from lvsctl.agent.lock import Lock
from lvsctl.agent.record import Record, read_record, record_document
from lvsctl.errors import InvalidInput, StoreCorrupt, StoreError
from lvsctl.messages.converter import strict_converter, structured
from lvsctl.messages.model import Registration, Report

T = TypeVar("T")

ASSIGNMENTS = "assignments.json"
RECORD = "found.json"
TUNNEL_ENDS = "tunnel-ends.json"
_CONFIG = "config.json"
_LEAVE = "leave.json"
_LEAVE_PROGRESS = "leave-progress.json"
_STATUS = "status.json"


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


@dataclass(frozen=True, slots=True)
class Contact:
    """The agent's last exchange with a director.

    Attributes:
        director: URL of the director.
        at: When one last answered, ISO 8601 in UTC; empty for never.
        problem: Why the last attempt failed; empty when it did not.
    """

    director: str = ""
    at: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """The agent's status as last written, for ``lvsctl agent status``."""

    name: str
    registration: Registration
    report: Report
    contact: Contact


class StateDir:
    """The state folder.

    Args:
        path: Its path; created if missing.

    Raises:
        StoreError: It cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be created: {error.strerror}") from error
        self.lock = Lock(path / "lock")
        self._converter = strict_converter()
        self._converter.register_unstructure_hook(Path, str)
        self._converter.register_structure_hook(Path, lambda text, _: Path(text))

    # Configuration and assignments

    def config(self) -> AgentConfig | None:
        """Return the configuration of the last run."""
        return self._read(_CONFIG, AgentConfig)

    def save_config(self, config: AgentConfig) -> None:
        """Save the configuration, so that ``agent leave`` needs no flags."""
        self._write(_CONFIG, config)

    def assignments(self) -> Assignments:
        """Return the assignments in effect."""
        return self._read(ASSIGNMENTS, Assignments) or Assignments()

    def save_assignments(self, assignments: Assignments) -> None:
        """Save the assignments in effect."""
        self._write(ASSIGNMENTS, assignments)

    # Record of the original host configuration

    def record(self, boot: str) -> Record:
        """Return the record of the original configuration; empty if it is from another boot."""
        content = files.read(self.path / RECORD)
        if content is None:
            return Record(boot)
        record = self._checked(RECORD, lambda: read_record(content))
        return record if record.boot == boot else Record(boot)

    def save_record(self, record: Record) -> None:
        """Save the record of the original configuration."""
        files.write(self.path / RECORD, record_document(record))

    # Leaving

    def leave_request(self) -> LeaveRequest | None:
        """Return the pending request to leave."""
        return self._read(_LEAVE, LeaveRequest)

    def request_leave(self, request: LeaveRequest) -> None:
        """Ask the process that holds the lock, now or next, to leave."""
        self._write(_LEAVE, request)

    def delete_leave_request(self) -> None:
        """Delete the request: it has been answered."""
        files.remove(self.path / _LEAVE)

    def discard_leave_request(self) -> None:
        """Delete an unreadable request, preserving it as ``*.damaged``."""
        files.preserve_damaged(self.path / _LEAVE)
        files.remove(self.path / _LEAVE)

    def leave_progress(self) -> LeaveProgress | None:
        """Return the progress of the last leave."""
        return self._read(_LEAVE_PROGRESS, LeaveProgress)

    def save_leave_progress(self, progress: LeaveProgress) -> None:
        """Save the progress of a leave."""
        self._write(_LEAVE_PROGRESS, progress, durable=False)

    def delete_leave_progress(self) -> None:
        """Delete the progress of the last leave."""
        files.remove(self.path / _LEAVE_PROGRESS)

    # Status

    def load_status(self) -> StatusSnapshot | None:
        """Return the status that the agent last saved."""
        return self._read(_STATUS, StatusSnapshot)

    def save_status(self, status: StatusSnapshot) -> None:
        """Save the status."""
        self._write(_STATUS, status, durable=False)

    def preserve_damaged(self, name: str) -> None:
        """Preserve a damaged file as ``*.damaged``, so that it can be replaced."""
        files.preserve_damaged(self.path / name)

    def clear(self) -> None:
        """Delete everything but the lock and the progress of a leave."""
        for name in (ASSIGNMENTS, RECORD, TUNNEL_ENDS, _STATUS, _CONFIG, _LEAVE):
            files.remove(self.path / name)

    def _write(self, name: str, value: object, *, durable: bool = True) -> None:
        files.write(self.path / name, self._converter.unstructure(value), durable=durable)

    def _read(self, name: str, form: type[T]) -> T | None:
        content = files.read(self.path / name)
        if content is None:
            return None
        return self._checked(name, lambda: structured(self._converter, content, form))

    def _checked(self, name: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except InvalidInput as error:
            raise StoreCorrupt(f"{self.path / name} is damaged: {error}") from error
