"""The table of live objects in a store's file, apart from its history."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store import log_entries
from lvsctl.store.database import Database
from lvsctl.store.digest import Row, digest, updated_digest
from lvsctl.store.log_entries import Documents
from lvsctl.store.schema import Head


@dataclass(frozen=True, slots=True)
class _RowState:
    """What is cached about a row."""

    place: int
    revision: int
    digest: int


class LiveRows:
    """The table ``live``, with a cache of its rows' states, so that a write reads none of them.

    Args:
        database: The open file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[ObjectId, _RowState] = {}
        self._known_at = ""
        self._next_place = 1

    def read(self, head: Head) -> Sequence[Row]:
        """Return all rows in creation order.

        Raises:
            StoreCorrupt: Their digest is not the head's.
        """
        rows = self._database.rows("live")
        parts = [digest(row) for row in rows]
        if updated_digest(0, added=sum(parts)) != head.digest:
            self._database.corrupt("rows of its table live were added, altered or deleted")
        try:
            self._known = {
                ObjectId(Kind(kind), name): _RowState(place, revision, part)
                for (place, kind, name, revision, _), part in zip(rows, parts, strict=True)
            }
        except ValueError as error:
            self._database.corrupt(error)
        self._known_at = head.commit_id
        self._next_place = max((row[0] for row in rows), default=0) + 1
        return rows

    def refresh(self, head: Head) -> None:
        """Read the rows again if the cache is not at a head, as after a failed transaction."""
        if self._known_at != head.commit_id:
            self.read(head)

    def revisions(self, names: Collection[ObjectId]) -> Mapping[ObjectId, int]:
        """Return the revisions of those of the objects that exist."""
        return {name: self._known[name].revision for name in names if name in self._known}

    def write(self, documents: Documents, head: Head) -> Head:
        """Write new documents and delete others, inside a transaction.

        Args:
            documents: New documents; None deletes a live object.
            head: The head after the commit, still with the old digest.

        Returns:
            The head with the new digest.
        """
        total = head.digest
        rows: list[Row] = []
        for object_id, document in documents.items():
            old = self._known.get(object_id)
            if document is None:
                total = updated_digest(total, removed=self._delete(object_id))
                continue
            place = old.place if old else self._next_place
            self._next_place = max(self._next_place, place + 1)
            revision = head.position.revision
            row = (place, object_id.kind.value, object_id.name, revision, document)
            known = _RowState(place, revision, digest(row))
            total = updated_digest(total, added=known.digest, removed=old.digest if old else 0)
            self._known[object_id] = known
            rows.append(row)
        self._database.write("live", rows)
        self._known_at = head.commit_id
        return replace(head, digest=total)

    def replace_all(self, objects: Sequence[log_entries.Row], head: Head) -> Head:
        """Replace all objects, inside a transaction.

        Args:
            objects: In creation order.
            head: The head afterwards, still with the old digest.

        Returns:
            The head with the new digest.
        """
        self._database.delete("DELETE FROM live")
        rows: list[Row] = [
            (place, each.object_id.kind.value, each.object_id.name, each.revision, each.document)
            for place, each in enumerate(objects, 1)
        ]
        self._database.write("live", rows)
        self._known_at = ""
        return replace(head, digest=updated_digest(0, added=sum(map(digest, rows))))

    def _delete(self, object_id: ObjectId) -> int:
        """Delete an object and return its contribution to the digest."""
        known = self._known.pop(object_id)
        self._database.delete("DELETE FROM live WHERE place = ?", known.place)
        return known.digest
