"""A dedicated thread for objects that must stay in one thread: kernel handles, the database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs calls one at a time in one thread, in the order of submission."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call in the thread, and return its result or raise its exception."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, partial(call, *args, **kwargs))

    async def responds(self) -> None:
        """Return once the thread has finished all calls submitted so far."""
        await self.run(lambda: None)

    def close(self) -> None:
        """Finish submitted calls and end the thread."""
        self._executor.shutdown()
