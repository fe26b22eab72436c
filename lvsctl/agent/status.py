"""The status of an agent, read from its state folder; the agent need not run."""

from dataclasses import dataclass
from pathlib import Path

from lvsctl.agent.state_dir import Contact, StateDir
from lvsctl.errors import ConfigurationError
from lvsctl.messages.model import Assignment, Registration, Report


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """An agent as its state folder shows it.

    Attributes:
        name: The agent's.
        process: Its process number, 0 if unknown, None if it is not running.
        registration: Its registration.
        assignments: What its host is to serve, the current farm's last.
        report: Its last report; outdated if the agent is not running.
        contact: Its last exchange with a director.
        leaving: A request to leave is pending.
    """

    name: str
    process: int | None
    registration: Registration
    assignments: tuple[Assignment, ...]
    report: Report
    contact: Contact
    leaving: bool


def status(state_dir: Path) -> AgentStatus:
    """Return the status of the agent with a state folder.

    Raises:
        ConfigurationError: No agent has one there.
        StoreError: The folder cannot be read, or a file in it is damaged.
    """
    state = StateDir(state_dir) if state_dir.is_dir() else None
    known = None if state is None else state.load_status()
    if state is None or known is None:
        raise ConfigurationError(f"no agent has run with --state-dir {state_dir}")
    return AgentStatus(
        name=known.name,
        process=state.lock.holder(),
        registration=known.registration,
        assignments=state.assignments().farms,
        report=known.report,
        contact=known.contact,
        leaving=state.leave.request() is not None,
    )
