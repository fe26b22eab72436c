"""The log of commits in the file of a store: its history, bounded."""

from datetime import datetime

from lvsctl.store.commits import Commit
from lvsctl.store.database import Database
from lvsctl.store.log_entries import Documents, pack, unpack
from lvsctl.store.schema import Head


class CommitLog:
    """The table ``log``: one row for each commit, the revisions without a gap.

    Args:
        database: The open file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, head: Head, at: datetime, by: str, documents: Documents) -> None:
        """Write the commit that leads to a head, inside a transaction."""
        position = head.position
        row = (position.revision, head.commit_id, position.epoch, at.isoformat(), by)
        self._database.write("log", [(*row, pack(documents))])

    def revision_of(self, commit_id: str, revision: int) -> int | None:
        """Return a revision where it was made by this commit."""
        rows = self._database.rows("log", "WHERE revision = ? AND id = ?", revision, commit_id)
        return revision if rows else None

    def between(self, first: int, last: int) -> list[Commit]:
        """Return the commits of a range of revisions, oldest first.

        Raises:
            StoreCorrupt: One is missing, or not as it was written.
        """
        clause = "WHERE revision BETWEEN ? AND ? ORDER BY revision"
        rows = self._database.rows("log", clause, first, last)
        if [row[0] for row in rows] != list(range(first, last + 1)):
            self._database.corrupt(f"commits between revisions {first} and {last} are not there")
        try:
            return [
                Commit(commit_id, epoch, revision, datetime.fromisoformat(at), by, unpack(entry))
                for revision, commit_id, epoch, at, by, entry in rows
            ]
        except ValueError as error:
            self._database.corrupt(error)

    def first_since(self, moment: datetime, first: int, last: int) -> int:
        """Return the first revision of a range that was made since a moment, or the next one."""
        sql = "SELECT revision, at FROM log WHERE revision BETWEEN ? AND ? ORDER BY revision"
        for revision, at in self._database.query(sql, first, last):
            if datetime.fromisoformat(at) >= moment:
                return int(revision)
        return last + 1

    def forget_before(self, revision: int) -> None:
        """Delete all commits below a revision, inside a transaction."""
        self._database.delete("DELETE FROM log WHERE revision < ?", revision)
