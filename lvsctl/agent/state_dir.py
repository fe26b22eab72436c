"""What an agent keeps on its disk, so that a restart or a reboot takes nothing out of service."""

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
    """Somebody asked the agent to leave; it holds until it was answered.

    Attributes:
        id: Tells this request from others.
        deadline_s: How long connections may take to end, in seconds.
        force: Undo the set-up even if no director confirms.
    """

    id: str
    deadline_s: float
    force: bool


@dataclass(frozen=True, slots=True)
class LeaveProgress:
    """How far a leave has come.

    Attributes:
        id: Of the request.
        lines: What happened, for a person.
        left: Whether the host is as it was found; None while that is open.
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
class Known:
    """What an agent tells whoever asks for its status."""

    name: str
    registration: Registration
    report: Report
    contact: Contact


class StateDir:
    """The folder.

    Args:
        path: Where it is; made where it is missing.

    Raises:
        StoreError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be made: {error.strerror}") from error
        self.lock = Lock(path / "lock")
        self._converter = strict_converter()
        self._converter.register_unstructure_hook(Path, str)
        self._converter.register_structure_hook(Path, lambda text, _: Path(text))

    # What the agent was told

    def config(self) -> AgentConfig | None:
        """Return the configuration of the last run."""
        return self._read(_CONFIG, AgentConfig)

    def keep_config(self, config: AgentConfig) -> None:
        """Keep a configuration, so that a leave needs no flags."""
        self._write(_CONFIG, config)

    def assignments(self) -> Assignments:
        """Return the assignments that hold."""
        return self._read(ASSIGNMENTS, Assignments) or Assignments()

    def keep_assignments(self, assignments: Assignments) -> None:
        """Keep the assignments that hold."""
        self._write(ASSIGNMENTS, assignments)

    # How the host was found

    def record(self, boot: str) -> Record:
        """Return how the host was found, an empty record after another boot."""
        content = files.read(self.path / RECORD)
        if content is None:
            return Record(boot)
        record = self._checked(RECORD, lambda: read_record(content))
        return record if record.boot == boot else Record(boot)

    def keep_record(self, record: Record) -> None:
        """Keep how the host was found."""
        files.write(self.path / RECORD, record_document(record))

    # Leaving

    def leave_request(self) -> LeaveRequest | None:
        """Return the request to leave that has not been answered."""
        return self._read(_LEAVE, LeaveRequest)

    def request_leave(self, request: LeaveRequest) -> None:
        """Ask whoever holds the lock, or will, to leave."""
        self._write(_LEAVE, request)

    def drop_leave_request(self) -> None:
        """Take the request as answered."""
        files.remove(self.path / _LEAVE)

    def set_leave_request_aside(self) -> None:
        """Drop a request that cannot be read, and keep it under a second name."""
        files.keep_damaged(self.path / _LEAVE)
        files.remove(self.path / _LEAVE)

    def leave_progress(self) -> LeaveProgress | None:
        """Return how far the last leave has come."""
        return self._read(_LEAVE_PROGRESS, LeaveProgress)

    def keep_leave_progress(self, progress: LeaveProgress) -> None:
        """Show how far a leave has come."""
        self._write(_LEAVE_PROGRESS, progress, durable=False)

    def drop_leave_progress(self) -> None:
        """Forget the last leave."""
        files.remove(self.path / _LEAVE_PROGRESS)

    # Status

    def known(self) -> Known | None:
        """Return what the agent last told."""
        return self._read(_STATUS, Known)

    def tell(self, known: Known) -> None:
        """Tell whoever asks for the status."""
        self._write(_STATUS, known, durable=False)

    # The whole

    def keep_damaged(self, name: str) -> None:
        """Give a damaged file a second name, so that it can be replaced and looked at later."""
        files.keep_damaged(self.path / name)

    def clear(self) -> None:
        """Forget everything but the lock and the progress of a leave."""
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
