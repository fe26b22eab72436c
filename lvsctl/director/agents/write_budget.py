"""How often agents may change what is stored: the history keeps a number of commits."""

import math
from collections.abc import Callable

from lvsctl.director.access.principal import AGENT_AUTHOR
from lvsctl.director.agents.sessions import Write
from lvsctl.director.write.committer import CommitResult
from lvsctl.director.write.edits import Edit
from lvsctl.errors import TooManyRequests

BURST = 10
INTERVAL_S = 6.0
"""Seconds until an agent that wrote ``BURST`` times in a row may write once more."""


class WriteBudget:
    """Writes of agents, each within its own budget; lives on the director's event loop.

    Without it, one agent could push everything else out of the history.

    Args:
        write: Stores an edit.
        monotonic: Returns the time in seconds.
    """

    def __init__(self, write: Write, monotonic: Callable[[], float]) -> None:
        self._write = write
        self._monotonic = monotonic
        # When each author's budget is whole again (the generic cell rate algorithm).
        self._whole_at: dict[str, float] = {}

    async def write(self, edit: Edit, *, by: str, source: str = "") -> CommitResult:
        """Store an edit; one that stores nothing costs nothing, nor do those of operators.

        Raises:
            TooManyRequests: The budget of the agent is spent.
            LvsctlError: As the write does.
        """
        if not by.startswith(AGENT_AUTHOR):
            return await self._write(edit, by=by, source=source)
        self._spend(by)  # before the write: an agent may send several at once
        stored = False
        try:
            written = await self._write(edit, by=by, source=source)
            stored = written.changed
        finally:
            if not stored and by in self._whole_at:
                self._whole_at[by] -= INTERVAL_S
        return written

    def _spend(self, author: str) -> None:
        now = self._monotonic()
        self._whole_at = {each: at for each, at in self._whole_at.items() if at > now}
        whole_at = self._whole_at.get(author, now) + INTERVAL_S
        wait_s = whole_at - now - BURST * INTERVAL_S
        if wait_s > 0:
            raise TooManyRequests(
                f"{author} has changed what is stored {BURST} times in a row; one more change "
                f"every {INTERVAL_S:.0f} s is accepted",
                math.ceil(wait_s),
            )
        self._whole_at[author] = whole_at
