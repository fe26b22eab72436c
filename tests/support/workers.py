"""Worker threads without a thread."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from lvsctl.worker import Worker

P = ParamSpec("P")
T = TypeVar("T")


class InlineWorker(Worker):
    """Runs each call at once, so that a test has one thread and no waiting."""

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return call(*args, **kwargs)


class BusyWorker(InlineWorker):
    """Tells what runs in it from what runs on the event loop.

    Attributes:
        busy: While a call runs in it.
    """

    busy = False

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.busy = True
        try:
            return await super().run(call, *args, **kwargs)
        finally:
            self.busy = False
