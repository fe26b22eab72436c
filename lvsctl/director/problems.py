"""Problems of this director itself, from detection to repair."""

import enum
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from lvsctl.errors import StoreError
from lvsctl.events import Event, EventKind
from lvsctl.reasons.reason import Reason

log = structlog.get_logger(__name__)


class Component(enum.StrEnum):
    """A part of the director that can fail while the rest works; names are stable."""

    FARM = "farm"
    STORE = "store"
    LOCAL_STATE = "local-state"
    EVENTS = "events"
    DISK = "disk"
    ACCESS = "access"


@dataclass(frozen=True, slots=True)
class DirectorProblem:
    """A problem of a part of the director.

    Attributes:
        reason: What is wrong, and the cure.
        hinders: The director cannot do all of its work, so it is not ready.
        lasts: It lasts until the director is restarted.
    """

    reason: Reason
    hinders: bool = True
    lasts: bool = False


class Problems:
    """The present problems, at most one per component; used on the event loop.

    None of them withdraws a VIP, as disks tend to fill on all directors at once.

    Args:
        emit: Called with an event when a problem appears, changes or ends.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._standing: dict[Component, DirectorProblem] = {}

    @property
    def standing(self) -> Mapping[Component, DirectorProblem]:
        """The present problems by component."""
        return dict(self._standing)

    def report(
        self, component: Component, reason: Reason, *, hinders: bool = True, lasts: bool = False
    ) -> None:
        """Record the problem of a component; repeating it has no effect."""
        problem = DirectorProblem(reason, hinders, lasts)
        before = self._standing.get(component)
        if before == problem or (before and before.lasts and before.hinders):
            return
        self._standing[component] = problem
        log.error("director problem", component=str(component), reason=str(reason))
        self._emit(Event(EventKind.DIRECTOR_PROBLEM, str(component), str(reason), code=reason.code))

    def clear(self, component: Component) -> None:
        """Clear the problem of a component."""
        problem = self._standing.get(component)
        if problem is not None and not problem.lasts:
            del self._standing[component]
            log.info("director problem is over", component=str(component))
            over, code = f"no longer: {problem.reason}", problem.reason.code
            self._emit(Event(EventKind.DIRECTOR_PROBLEM_OVER, str(component), over, code=code))

    @contextmanager
    def watching(self, component: Component) -> Iterator[None]:
        """Record a failed write as a problem, and clear it after one that succeeds."""
        try:
            yield
        except StoreError as error:
            self.report(component, error.reason)
            raise
        self.clear(component)
