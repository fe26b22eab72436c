"""The mode of a director: whether it writes its kernel, as set by the operator, and until when."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import structlog

from lvsctl.director.clock import ClockJump
from lvsctl.errors import StoreError, StoreNotAccepted
from lvsctl.events import Event, EventKind
from lvsctl.reasons import services as reasons
from lvsctl.reasons.errors import STORE_NOT_CONTINUED
from lvsctl.reasons.reason import Reason
from lvsctl.store.interface import Mode, ModeName
from lvsctl.times import format_utc

log = structlog.get_logger(__name__)


class OperatingMode:
    """The mode of one director; lives on its event loop.

    Args:
        kept: The mode of the director's last run.
        hands_off: Why the kernel must not be written whatever the mode; empty if it may be.
        keep: Stores a mode durably; raises StoreError on a disk error.
        emit: Told of every change.
        now: The time of day, in UTC.
    """

    def __init__(
        self,
        kept: Mode,
        hands_off: str,
        keep: Callable[[Mode], Awaitable[None]],
        emit: Callable[[Event], None],
        now: Callable[[], datetime],
    ) -> None:
        self._mode = kept
        self._is_kept = True
        self._hands_off = hands_off
        self._keep = keep
        self._emit = emit
        self._now = now

    @property
    def current(self) -> Mode:
        """What this director may do."""
        return Mode(ModeName.OBSERVE, self._hands_off) if self._hands_off else self._mode

    @property
    def is_hands_off(self) -> bool:
        """Whether the kernel must not be written, whatever mode the operator sets."""
        return bool(self._hands_off)

    @property
    def until(self) -> datetime | None:
        """When it reverts to enforce, in UTC."""
        return self._mode.until

    @property
    def why_not_enforced(self) -> Reason | None:
        """Why nothing may be written; None if it may."""
        if self._hands_off:
            return STORE_NOT_CONTINUED(error=self._hands_off)
        if self._mode.name is ModeName.ENFORCE:
            return None
        until = format_utc(self._mode.until) if self._mode.until else ""
        return reasons.OBSERVING(until=until, note=self._mode.reason)

    async def set(self, mode: Mode) -> None:
        """Set the mode durably.

        Raises:
            StoreNotAccepted: The kernel must not be written until the store is accepted.
            StoreError: It could not be stored; the mode is unchanged.
        """
        if self._hands_off:
            raise StoreNotAccepted(self._hands_off)
        await self._keep(mode)
        self._mode = mode
        log.warning("mode set", mode=str(mode.name), reason=mode.reason, by=mode.by)
        self._emit(Event(EventKind.MODE, str(mode.name), mode.reason, by=mode.by))

    async def end_expired(self) -> None:
        """Revert to enforce when the time is over; retry after a disk error."""
        now = self._now()
        if self._mode.until is not None and self._mode.until <= now:
            log.warning("pause has ended", reason=self._mode.reason)
            self._emit(Event(EventKind.MODE, str(ModeName.ENFORCE), "the pause is over"))
            self._mode, self._is_kept = Mode(), False
        if self._is_kept:
            return
        self._is_kept = True
        try:
            await self._keep(self._mode)
        except StoreError as error:
            log.warning("the mode could not be kept", reason=str(error))

    def clock_jumped(self, jump: ClockJump) -> None:
        """Keep the remaining time of a pause when the clock is set."""
        if self._mode.until:
            self._mode = replace(self._mode, until=jump.moved(self._mode.until, self._mode.since))
            self._is_kept = False
