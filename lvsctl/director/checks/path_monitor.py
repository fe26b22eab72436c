"""Looks at what probes through the tunnel need of this director, before and after each of them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from lvsctl.errors import BoundaryError
from lvsctl.health.path import TunnelProbe
from lvsctl.ipvs.table import FwmarkKey
from lvsctl.reasons import probes as reasons
from lvsctl.reasons.reason import Reason

log = structlog.get_logger(__name__)

SHARE_OF_TIME = 0.1
"""Looking may take so much of the kernel's thread; a large table is looked at less often."""
AT_MOST_EVERY_S = 0.1
REMEMBERED_S = 120.0
"""Longer than any probe takes."""

ObservePaths = Callable[[Sequence[TunnelProbe]], Awaitable[Mapping[TunnelProbe, Reason | None]]]
"""Says of each way why a probe that takes it counts for nothing; None where it counts."""


@dataclass(frozen=True, slots=True)
class PathObservation:
    """One look; times in s on the event loop's clock.

    Attributes:
        began_s: Everything seen was so after this.
        ended_s: And before this.
        problems: Why a probe that takes a way counts for nothing, None where it is as it should
            be; for each way that was looked at.
    """

    began_s: float
    ended_s: float
    problems: Mapping[TunnelProbe, Reason | None]


class PathMonitor:
    """The looks of one director; lives on its event loop.

    Many probes share a look: it is made when an ended one waits for it, and not too often.

    Args:
        look: Looks at some ways and returns what is wrong with them.
        seen: Told of each look when it has ended.
    """

    def __init__(
        self,
        look: ObservePaths,
        seen: Callable[[PathObservation], None],
    ) -> None:
        self._look = look
        self._seen = seen
        self._ways: dict[str, Sequence[TunnelProbe]] = {}
        self._looks: deque[PathObservation] = deque()
        self._asked = asyncio.Event()
        self._not_before_s = 0.0

    def follow(self, pool: str, ways: Sequence[TunnelProbe]) -> None:
        """Look at these ways to a pool's servers from now on, and at no others of that pool."""
        if ways:
            self._ways[pool] = ways
        else:
            self._ways.pop(pool, None)

    def ask(self) -> None:
        """Have a look made that begins after now."""
        self._asked.set()

    def have_seen(self, ways: Collection[TunnelProbe]) -> bool:
        """Say whether probes along these ways could count from now on."""
        return not ways or bool(
            self._looks and all(way in self._looks[-1].problems for way in ways)
        )

    def disturbed(self, marks: Collection[FwmarkKey], at_s: float) -> None:
        """Take note that the services of some marks were not as they should be until now."""
        problems: dict[TunnelProbe, Reason | None] = {
            way: reasons.MARK_JUST_REPAIRED(key)
            for ways in self._ways.values()
            for way in ways
            if (key := FwmarkKey(way.path.family, way.mark.mark)) in marks
        }
        if problems:
            self._remember(PathObservation(at_s, at_s, problems))

    def problem(self, way: TunnelProbe, began_s: float) -> Reason | None:
        """Return why a probe that began then counts for nothing; None where it counts.

        To be asked after a look that began after the probe had ended.
        """
        for look in reversed(self._looks):
            if way not in look.problems:
                continue
            found = look.problems[way]
            if found or look.ended_s <= began_s:
                return found
        return reasons.NOT_OBSERVED()

    async def run(self) -> None:
        """ObservePaths whenever it is asked for, until cancelled."""
        now_s = asyncio.get_running_loop().time
        while True:
            await self._asked.wait()
            await asyncio.sleep(self._not_before_s - now_s())
            self._asked.clear()
            look = await self._made([way for ways in self._ways.values() for way in ways])
            self._not_before_s = look.began_s + max(
                AT_MOST_EVERY_S, (look.ended_s - look.began_s) / SHARE_OF_TIME
            )
            self._remember(look)
            self._seen(look)

    async def _made(self, ways: Sequence[TunnelProbe]) -> PathObservation:
        now_s = asyncio.get_running_loop().time
        began_s = now_s()
        try:
            problems = await self._look(ways)
        except BoundaryError as error:
            problems = dict.fromkeys(ways, reasons.OBSERVATION_FAILED(error=error))
        except Exception as error:  # a defect in lvsctl must not end the watch over the servers
            log.exception("a look at the director broke")
            problems = dict.fromkeys(ways, reasons.OBSERVATION_DEFECT(error=repr(error)))
        return PathObservation(began_s, now_s(), problems)

    def _remember(self, look: PathObservation) -> None:
        self._looks.append(look)
        while self._looks[0].ended_s < look.ended_s - REMEMBERED_S:
            self._looks.popleft()
