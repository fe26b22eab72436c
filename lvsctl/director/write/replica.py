"""The state of the farm in memory, which follows the store's commits, whoever made them."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

import structlog

from lvsctl.director.state import State, state_of
from lvsctl.director.write.advance import Advance, advance
from lvsctl.store.authorship import read_authorship
from lvsctl.store.commits import Reload
from lvsctl.store.interface import Store

BATCH = 1000
"""Number of commits read at once."""

log = structlog.get_logger(__name__)


class Replica:
    """The state at the latest commit followed; used in the store's thread.

    Own commits and those of others enter it by :meth:`enter`; the steps are then fetched, in
    that order, by the event loop.

    Args:
        store: The store to follow.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state = state_of(store.load())
        self._advances: deque[Advance] = deque()

    @property
    def state(self) -> State:
        """The present state; readers in other threads get a frozen value."""
        return self._state

    def catch_up(self) -> Iterator[Advance]:
        """Follow all commits so far; yield each step once it has been applied.

        Raises:
            StoreError: The store cannot be read; steps yielded so far have been applied.
        """
        while batch := self._store.changes_after(self._state.position, BATCH):
            if isinstance(batch, Reload):
                yield self._reload(batch.reason)
                return
            changes = {name: value for each in batch for name, value in each.changes.items()}
            authors = [read_authorship(each.by) for each in batch]
            by = ", ".join(dict.fromkeys(author.name for author in authors))
            step = advance(self._state, self._state.following(batch), changes, by)
            if len(authors) == 1:
                step = replace(step, source=authors[0].source, changed=authors[0].changed)
            self.enter(step)
            yield step

    def _reload(self, reason: str) -> Advance:
        log.warning("the farm is loaded anew", reason=reason)
        after = state_of(self._store.load())
        changes = self._state.changes_to(after)
        step = advance(self._state, after, changes, "the store, loaded anew")
        self.enter(step)
        return step

    def enter(self, step: Advance) -> None:
        """Apply a step from the present state."""
        self._state = step.after
        self._advances.append(step)

    def fetch(self) -> Iterator[Advance]:
        """Yield the steps that were not fetched yet, in order; called in one other thread."""
        while self._advances:
            yield self._advances.popleft()

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Call a function, in any thread, when there may be new commits.

        Returns:
            A function that ends the subscription.
        """
        return self._store.subscribe(announce)
