"""Writes requested on the event loop: stored in the store's thread, then followed here."""

from collections.abc import Callable, Mapping, Sequence

from lvsctl.director.problems import Component, Problems
from lvsctl.director.write.committer import CommitResult, Committer, EditContext
from lvsctl.director.write.edits import Edit
from lvsctl.director.write.follower import Follower
from lvsctl.director.write.history import FarmHistory
from lvsctl.errors import StoreError, StoreNotAccepted
from lvsctl.farm.objects import ObjectId
from lvsctl.store.commits import AuditRecord
from lvsctl.worker import Worker


class Writer:
    """Stores edits of the farm; used on the director's event loop.

    Args:
        commits: The committer; used only in ``store``.
        store: The store's thread.
        follower: Follows what was stored before a write is answered.
        context: Returns what edits are validated against besides the stored state.
        problems: Informed of disk errors.
    """

    def __init__(
        self,
        commits: Committer,
        store: Worker,
        follower: Follower,
        context: Callable[[], EditContext],
        problems: Problems,
    ) -> None:
        self._commits = commits
        self._store = store
        self._follower = follower
        self._context = context
        self._problems = problems
        self.history = FarmHistory(
            lambda before: store.run(commits.history, before), lambda: commits.state
        )

    async def write(
        self,
        edit: Edit,
        *,
        by: str,
        source: str = "",
        expect: Mapping[ObjectId, int] | None = None,
    ) -> CommitResult:
        """Store an edit and wake the reconciler.

        Args:
            edit: What to change.
            by: Who asked for it.
            source: Address that the request came from; empty if there was none.
            expect: Revisions that objects must be at.

        Raises:
            InvalidInput, NotFound, StaleRevision, Conflict, StoreError: Nothing was stored.
        """
        try:
            written = await self._store.run(
                self._commits.commit, edit, expect or {}, by, self._context(), source
            )
        except StoreNotAccepted:
            raise
        except StoreError as error:
            self._problems.report(Component.STORE, error.reason)
            raise
        finally:
            self._follower.take_in()
        if written.changed:
            self._problems.clear(Component.STORE)
        return written

    async def audit(self, limit: int, before: int | None = None) -> Sequence[AuditRecord]:
        """Return who made the latest commits and what they changed, newest first.

        Args:
            limit: How many at most.
            before: Only those of lower revisions.

        Raises:
            StoreError: They cannot be read.
        """
        return await self._store.run(self._commits.audit, limit, before)

    async def dry_run(
        self, edit: Edit, *, expect: Mapping[ObjectId, int] | None = None
    ) -> CommitResult:
        """Validate an edit as :meth:`write` does, and return what it would change."""
        return await self._store.run(self._commits.dry_run, edit, expect or {}, self._context())
