"""A store's file as the replica of a log elsewhere."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lvsctl.farm.objects import ObjectId
from lvsctl.store.log_entries import Entry, Row
from lvsctl.store.position import Position
from lvsctl.store.schema import read_head
from lvsctl.store.sqlite import SqliteStore


class SqliteReplica(SqliteStore):
    """A store in an SQLite file that follows commits made elsewhere."""

    def revisions(self, names: Collection[ObjectId]) -> Mapping[ObjectId, int]:
        """Return the revisions of those of the objects that exist."""
        self._live.refresh(read_head(self._database))
        return self._live.revisions(names)

    def append(self, entries: Sequence[Entry]) -> None:
        """Append commits that were made elsewhere and continue from this store's head."""
        if not entries:
            return
        with self._database.transaction():
            head = read_head(self._database)
            self._live.refresh(head)
            for entry in entries:
                after = replace(head, position=entry.position, commit_id=entry.id)
                head = self._live.write(entry.documents, after)
                self._log.append(head, entry.at, entry.by, entry.documents)
            self._database.write("head", [head.row])
        self._announce(head)

    def replace_all(self, position: Position, commit_id: str, rows: Sequence[Row]) -> None:
        """Replace the contents by those of a store elsewhere, without its history."""
        with self._database.transaction():
            head = read_head(self._database)
            self._log.forget_before(head.position.revision + 1)
            oldest = position.revision + 1
            after = replace(head, position=position, commit_id=commit_id, oldest=oldest)
            head = self._live.replace_all(rows, after)
            self._database.write("head", [head.row])
        self._lost = None
        self._announce(head)
