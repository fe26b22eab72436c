"""This director's own disk, as the event loop uses it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lvsctl.director.problems import Component, Problems
from lvsctl.director.state import State, contents_of
from lvsctl.health.target import ProbeId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.store.interface import LocalState, Mode
from lvsctl.worker import Worker


@dataclass(frozen=True, slots=True)
class KeptState:
    """What was restored from this director's own disk.

    Attributes:
        mode: The mode that was set last.
        verdicts: Verdicts of the previous run.
        hands_off: Why the kernel must not be written whatever the mode; empty if it may be.
    """

    mode: Mode = field(default_factory=Mode)
    verdicts: Mapping[ProbeId, KeptVerdict] = field(default_factory=dict)
    hands_off: str = ""


class OwnState:
    """Writes to this director's own disk; lives on the event loop.

    Attributes:
        kept: What it held when the director started.

    Args:
        local: What is on it; used in ``kernel`` alone.
        kernel: The kernel's thread.
        kept: What it held.
        problems: Told if the disk refuses something.
    """

    def __init__(
        self, local: LocalState, kernel: Worker, kept: KeptState, problems: Problems
    ) -> None:
        self.kept = kept
        self._local = local
        self._kernel = kernel
        self._problems = problems

    async def keep_mode(self, mode: Mode) -> None:
        """Keep a mode.

        Raises:
            StoreError: The disk refuses it.
        """
        with self._problems.watching(Component.LOCAL_STATE):
            await self._kernel.run(self._local.set_mode, mode)

    async def keep_verdicts(self, changes: Mapping[ProbeId, KeptVerdict | None]) -> None:
        """Keep what became of some verdicts; None forgets one.

        Raises:
            StoreError: The disk refuses it.
        """
        with self._problems.watching(Component.LOCAL_STATE):
            await self._kernel.run(self._local.keep_verdicts, changes)

    async def remember(self, state: State) -> None:
        """Keep the farm that was applied.

        Raises:
            StoreError: The disk refuses it.
        """
        with self._problems.watching(Component.LOCAL_STATE):
            await self._kernel.run(lambda: self._local.remember(contents_of(state)))
