"""A limit on concurrent probes under which dead servers cannot starve live ones."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class ProbeLimiter:
    """A semaphore with two FIFO queues, one for servers whose last probe failed slowly.

    Slow ones hold at most half of the slots, so healthy servers are probed on time however many
    are dead. A server that has just died is recognised as slow only after its first timeout, so
    the limit should cover as many servers as may die at once.
    """

    def __init__(self, most: int) -> None:
        """Create a limiter.

        Args:
            most: Maximum number of concurrent probes.
        """
        self._most = most
        self._inside = {True: 0, False: 0}
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}

    def __len__(self) -> int:
        return sum(self._inside.values())

    @contextlib.asynccontextmanager
    async def slot(self, *, slow: bool) -> AsyncIterator[None]:
        """Wait for a slot and hold it.

        Args:
            slow: The last probe of this server failed slowly, typically by timing out.
        """
        admitted = asyncio.get_running_loop().create_future()
        self._waiting[slow].append(admitted)
        self._admit()
        try:
            await admitted
            yield
        finally:
            if not admitted.cancelled():
                self._inside[slow] -= 1
                self._admit()

    def _admit(self) -> None:
        for slow, share in (False, self._most), (True, max(self._most // 2, 1)):
            waiting = self._waiting[slow]
            while waiting and len(self) < self._most and self._inside[slow] < share:
                admitted = waiting.popleft()
                if not admitted.cancelled():
                    self._inside[slow] += 1
                    admitted.set_result(None)
