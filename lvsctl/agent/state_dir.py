"""The agent's state folder, which lets a restart or reboot take nothing out of service."""

from dataclasses import dataclass
from pathlib import Path

from lvsctl.agent import files
from lvsctl.agent.assignments import Assignments
from lvsctl.agent.config import AgentConfig
from lvsctl.agent.leave_files import REQUEST, LeaveFiles
from lvsctl.agent.lock import Lock
from lvsctl.agent.record import Record, read_record, record_document
from lvsctl.agent.state_files import StateFiles
from lvsctl.errors import StoreError
from lvsctl.messages.model import Registration, Report

ASSIGNMENTS = "assignments.json"
RECORD = "found.json"
TUNNEL_ENDS = "tunnel-ends.json"
_CONFIG = "config.json"
_STATUS = "status.json"


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

    Attributes:
        lock: Held by the process that serves.
        leave: The request to leave and its progress.

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
        self._files = StateFiles(path)
        self.leave = LeaveFiles(self._files)

    # Configuration and assignments

    def config(self) -> AgentConfig | None:
        """Return the configuration of the last run."""
        return self._files.read(_CONFIG, AgentConfig)

    def save_config(self, config: AgentConfig) -> None:
        """Save the configuration, so that ``agent leave`` needs no flags."""
        self._files.write(_CONFIG, config)

    def assignments(self) -> Assignments:
        """Return the assignments in effect."""
        return self._files.read(ASSIGNMENTS, Assignments) or Assignments()

    def save_assignments(self, assignments: Assignments) -> None:
        """Save the assignments in effect."""
        self._files.write(ASSIGNMENTS, assignments)

    # Record of the original host configuration

    def record(self, boot: str) -> Record:
        """Return the record of the original configuration; empty if it is from another boot."""
        content = files.read(self.path / RECORD)
        if content is None:
            return Record(boot)
        record = self._files.checked(RECORD, lambda: read_record(content))
        return record if record.boot == boot else Record(boot)

    def save_record(self, record: Record) -> None:
        """Save the record of the original configuration."""
        files.write(self.path / RECORD, record_document(record))

    # Status

    def load_status(self) -> StatusSnapshot | None:
        """Return the status that the agent last saved."""
        return self._files.read(_STATUS, StatusSnapshot)

    def save_status(self, status: StatusSnapshot) -> None:
        """Save the status."""
        self._files.write(_STATUS, status, durable=False)

    def preserve_damaged(self, name: str) -> None:
        """Preserve a damaged file as ``*.damaged``, so that it can be replaced."""
        files.preserve_damaged(self.path / name)

    def clear(self) -> None:
        """Delete everything but the lock and the progress of a leave."""
        for name in (ASSIGNMENTS, RECORD, TUNNEL_ENDS, _STATUS, _CONFIG, REQUEST):
            files.remove(self.path / name)
