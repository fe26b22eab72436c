"""The log of commits in a store's file: its bounded history."""

from collections.abc import Callable
from datetime import datetime

from lvsctl.farm.objects import Changes
from lvsctl.store.authorship import read_authorship
from lvsctl.store.commits import AuditRecord, Commit
from lvsctl.store.database import Database
from lvsctl.store.log_entries import (
    DecodedOnDemand,
    Documents,
    pack,
    unpack,
    unpack_documents,
)
from lvsctl.store.schema import Head


class CommitLog:
    """The table ``log``: one row per commit, with consecutive revisions.

    Args:
        database: The open file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, head: Head, at: datetime, by: str, documents: Documents) -> None:
        """Append the commit that a head is at, inside a transaction."""
        position = head.position
        row = (position.revision, head.commit_id, position.epoch, at.isoformat(), by)
        self._database.write("log", [(*row, pack(documents))])

    def revision_of(self, commit_id: str, revision: int) -> int | None:
        """Return the revision if this commit created it, else None."""
        rows = self._database.rows("log", "WHERE revision = ? AND id = ?", revision, commit_id)
        return revision if rows else None

    def between(self, first: int, last: int) -> list[Commit]:
        """Return the commits of a range of revisions, oldest first.

        Raises:
            StoreCorrupt: One is missing or damaged.
        """
        return self._read(first, last, unpack)

    def history(self, first: int, last: int) -> list[Commit]:
        """Return the same, but decode only the changes that are looked at.

        Raises:
            StoreCorrupt: One is missing or damaged.
        """
        return self._read(first, last, lambda entry: DecodedOnDemand(unpack_documents(entry)))

    def _read(self, first: int, last: int, read: Callable[[bytes], Changes]) -> list[Commit]:
        clause = "WHERE revision BETWEEN ? AND ? ORDER BY revision"
        rows = self._database.rows("log", clause, first, last)
        if [row[0] for row in rows] != list(range(first, last + 1)):
            self._database.corrupt(f"commits between revisions {first} and {last} are missing")
        try:
            return [
                Commit(commit_id, epoch, revision, datetime.fromisoformat(at), by, read(entry))
                for revision, commit_id, epoch, at, by, entry in rows
            ]
        except ValueError as error:
            self._database.corrupt(error)

    def authors(self, first: int, last: int) -> list[AuditRecord]:
        """Return who made the commits of a range of revisions, oldest first."""
        sql = "SELECT revision, at, by FROM log WHERE revision BETWEEN ? AND ? ORDER BY revision"
        return [
            AuditRecord(int(revision), datetime.fromisoformat(at), read_authorship(by))
            for revision, at, by in self._database.query(sql, first, last)
        ]

    def first_since(self, moment: datetime, first: int, last: int) -> int:
        """Return the first revision of a range created since a time, else the one after it."""
        sql = "SELECT revision, at FROM log WHERE revision BETWEEN ? AND ? ORDER BY revision"
        for revision, at in self._database.query(sql, first, last):
            if datetime.fromisoformat(at) >= moment:
                return int(revision)
        return last + 1

    def forget_before(self, revision: int) -> None:
        """Delete all commits below a revision, inside a transaction."""
        self._database.delete("DELETE FROM log WHERE revision < ?", revision)
