"""The live objects in the file of a store, apart from its history."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store import log_entries
from lvsctl.store.database import Database
from lvsctl.store.digest import Row, digest, moved
from lvsctl.store.log_entries import Documents
from lvsctl.store.schema import Head


@dataclass(frozen=True, slots=True)
class _Known:
    """What memory holds of a row."""

    place: int
    revision: int
    digest: int


class LiveRows:
    """The table ``live``, and what memory knows of its rows, so that a write reads none of them.

    Args:
        database: The open file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[ObjectId, _Known] = {}
        self._known_at = ""
        self._next_place = 1

    def read(self, head: Head) -> Sequence[Row]:
        """Return all rows in creation order.

        Raises:
            StoreCorrupt: They are not those that the head's digest was made of.
        """
        rows = self._database.rows("live")
        parts = [digest(row) for row in rows]
        if moved(0, added=sum(parts)) != head.digest:
            self._database.corrupt("rows of its table live were added, altered or deleted")
        try:
            self._known = {
                ObjectId(Kind(kind), name): _Known(place, revision, part)
                for (place, kind, name, revision, _), part in zip(rows, parts, strict=True)
            }
        except ValueError as error:
            self._database.corrupt(error)
        self._known_at = head.commit_id
        self._next_place = max((row[0] for row in rows), default=0) + 1
        return rows

    def refresh(self, head: Head) -> None:
        """Read the rows again if memory is not at a head: a transaction may have failed."""
        if self._known_at != head.commit_id:
            self.read(head)

    def revisions(self, names: Collection[ObjectId]) -> Mapping[ObjectId, int]:
        """Return at which revision each of these objects is, of those that are live."""
        return {name: self._known[name].revision for name in names if name in self._known}

    def write(self, documents: Documents, head: Head) -> Head:
        """Write new documents and delete others, inside a transaction.

        Args:
            documents: New ones; None deletes a live object.
            head: That the commit leads to, with the digest from before.

        Returns:
            The head with its digest.
        """
        total = head.digest
        rows: list[Row] = []
        for object_id, document in documents.items():
            old = self._known.get(object_id)
            if document is None:
                total = moved(total, removed=self._delete(object_id))
                continue
            place = old.place if old else self._next_place
            self._next_place = max(self._next_place, place + 1)
            revision = head.position.revision
            row = (place, object_id.kind.value, object_id.name, revision, document)
            known = _Known(place, revision, digest(row))
            total = moved(total, added=known.digest, removed=old.digest if old else 0)
            self._known[object_id] = known
            rows.append(row)
        self._database.write("live", rows)
        self._known_at = head.commit_id
        return replace(head, digest=total)

    def replace_all(self, objects: Sequence[log_entries.Row], head: Head) -> Head:
        """Write these objects in place of all others, inside a transaction.

        Args:
            objects: In creation order.
            head: To which it leads.

        Returns:
            The head with its digest.
        """
        self._database.delete("DELETE FROM live")
        rows: list[Row] = [
            (place, each.object_id.kind.value, each.object_id.name, each.revision, each.document)
            for place, each in enumerate(objects, 1)
        ]
        self._database.write("live", rows)
        self._known_at = ""
        return replace(head, digest=moved(0, added=sum(map(digest, rows))))

    def _delete(self, object_id: ObjectId) -> int:
        """Delete an object and return its part in the digest."""
        known = self._known.pop(object_id)
        self._database.delete("DELETE FROM live WHERE place = ?", known.place)
        return known.digest
