"""The reconciler's cycles as the event loop runs them, in the kernel's thread."""

from collections.abc import Awaitable, Callable
from itertools import count

from lvsctl.director.reconcile.cycle import Cycle
from lvsctl.director.reconcile.reconciler import Reconciler
from lvsctl.director.state import State
from lvsctl.reasons.reason import Reason
from lvsctl.worker import Worker

BEGUN_ANEW = 2
"""How often a comparison of everything begins anew at most, because much was written meanwhile."""


async def nothing() -> None:
    """Do nothing between two slices."""


class Cycles:
    """Runs cycles; lives on the event loop.

    Args:
        kernel: The kernel's thread.
        reconciler: Used in that thread alone.
    """

    def __init__(self, kernel: Worker, reconciler: Reconciler) -> None:
        self._kernel = kernel
        self._reconciler = reconciler

    async def at_once(
        self, state: State, dirty: frozenset[str] | None, not_enforced: Reason | None
    ) -> Cycle:
        """Run one cycle for some services, or with None for everything, in one go."""
        return await self._kernel.run(self._reconciler.cycle, state, dirty, not_enforced)

    async def in_slices(
        self,
        state: Callable[[], State],
        not_enforced: Callable[[], Reason | None],
        between: Callable[[], Awaitable[None]] = nothing,
    ) -> Cycle:
        """Compare everything slice by slice, and then write what differs.

        Args:
            state: Returns what should be, at present.
            not_enforced: Returns why nothing may be written at present; empty where it may.
            between: Does what is more urgent. One slice follows each call, so that however much
                there is of it the comparison comes to its end.

        Raises:
            KernelError, StoreError: As for :meth:`Reconciler.cycle`.
        """
        run, reconciler = self._kernel.run, self._reconciler
        for attempt in count():
            resync = await run(reconciler.begin_resync)
            while not await run(resync.advance, state()):
                await between()
            await between()
            cycle = await run(
                reconciler.finish_resync,
                resync,
                state(),
                not_enforced(),
                whatever_was_written=attempt >= BEGUN_ANEW,
            )
            if cycle is not None:
                return cycle
        raise AssertionError  # the last attempt has its cycle
