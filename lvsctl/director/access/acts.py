"""What people did to this director alone, which no commit records: its mode, adoptions."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from lvsctl.director.access.principal import Principal

MAX_ACTS = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Act:
    """One of them.

    Attributes:
        at: When, in UTC.
        by: Who did it.
        source: Address that the request came from.
        what: In words.
    """

    at: datetime
    by: str
    source: str
    what: str


class Acts:
    """The latest of them, in memory and all in the journal; lives on the director's event loop.

    Args:
        now: The time of day, in UTC.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._kept = deque[Act](maxlen=MAX_ACTS)

    @property
    def latest(self) -> Sequence[Act]:
        """All that are kept, the latest first."""
        return [*reversed(self._kept)]

    def record(self, principal: Principal, what: str) -> None:
        """Note what somebody did."""
        act = Act(self._now(), principal.author, principal.source, what)
        self._kept.append(act)
        log.info("act", by=act.by, source=act.source, what=what)
