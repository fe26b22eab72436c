"""Room for probes under way: bounded, and such that dead servers do not keep out the others."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class ProbeLimiter:
    """Lets probes in, of each kind whoever came first.

    Those whose last probe waited in vain take at most half of it, so the others find room however
    many are dead. Servers that died a moment ago count as such one timeout later: there should be
    room for as many as may die at once.
    """

    def __init__(self, most: int) -> None:
        """Make an empty room.

        Args:
            most: How many there is room for.
        """
        self._most = most
        self._inside = {True: 0, False: 0}
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}

    def __len__(self) -> int:
        return sum(self._inside.values())

    @contextlib.asynccontextmanager
    async def place(self, *, in_vain: bool) -> AsyncIterator[None]:
        """Wait for a place, and keep it.

        Args:
            in_vain: The last probe to this server waited in vain.
        """
        admitted = asyncio.get_running_loop().create_future()
        self._waiting[in_vain].append(admitted)
        self._admit()
        try:
            await admitted
            yield
        finally:
            if not admitted.cancelled():
                self._inside[in_vain] -= 1
                self._admit()

    def _admit(self) -> None:
        for in_vain, share in (False, self._most), (True, max(self._most // 2, 1)):
            waiting = self._waiting[in_vain]
            while waiting and len(self) < self._most and self._inside[in_vain] < share:
                admitted = waiting.popleft()
                if not admitted.cancelled():
                    self._inside[in_vain] += 1
                    admitted.set_result(None)
