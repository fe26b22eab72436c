"""The state of the farm in memory, which follows the store wherever a commit came from."""

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
"""How many commits are taken in at once."""

log = structlog.get_logger(__name__)


class Replica:
    """The state at the latest commit that was taken in; lives in the store's worker thread.

    Own commits and those of others enter it by :meth:`enter`; what they did is then fetched, in
    that order, by whoever acts on it.

    Args:
        store: That it follows.
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
        """Take in all that was committed since; yield each step once it is taken in.

        Raises:
            StoreError: The store cannot be read; the state is as far as it was.
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
        """Take in a step from the present state."""
        self._state = step.after
        self._advances.append(step)

    def fetch(self) -> Iterator[Advance]:
        """Yield the steps that were not fetched yet, in order; from one other thread."""
        while self._advances:
            yield self._advances.popleft()

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Have a function called, in whichever thread, when there may be something to take in.

        Returns:
            What ends it.
        """
        return self._store.subscribe(announce)
