"""The rows of the local state that hold the last applied farm."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.database import Database
from lvsctl.store.digest import digest, digest_text, updated_digest
from lvsctl.store.documents import decode_object, encode_object
from lvsctl.store.interface import Contents, Stored


@dataclass(frozen=True, slots=True)
class _RowState:
    """What is cached about a row."""

    place: int
    digest: int


class AppliedRows:
    """Keeps one farm; a write costs what has changed.

    Args:
        database: The database, with the tables ``applied`` and ``applied_position``.

    Raises:
        ValueError: A row is not valid.
        StoreError: It cannot be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows: dict[ObjectId, _RowState] = {}
        objects: dict[ObjectId, Stored] = {}
        rows = database.rows("applied")
        for row in rows:
            place, kind, name, revision, document = row
            object_id = ObjectId(Kind(kind), name)
            self._rows[object_id] = _RowState(place, digest(row))
            objects[object_id] = Stored(decode_object(object_id.kind, document), revision)
        self.contents: Contents | None = None
        """The farm; None if none was ever applied."""
        positions = database.rows("applied_position")
        if rows and not positions:
            raise ValueError("its table applied_position is empty")
        if positions:
            _, farm_id, epoch, revision, found = positions[0]
            if found != _digest(self._rows):
                raise ValueError("rows of its table applied were added, altered or deleted")
            self.contents = Contents(farm_id, epoch, revision, objects)

    def replace(self, contents: Contents) -> None:
        """Write the differences, durably, in one transaction.

        Raises:
            StoreError: The disk failed; the previous farm is kept.
        """
        known = self.contents.objects if self.contents else {}
        before = self._rows
        places = self._placed(contents)
        stale = [each.place for key, each in before.items() if places.get(key) != each.place]
        rows = {
            key: (places[key], key.kind.value, key.name, each.revision, document)
            for key, each in contents.objects.items()
            if known.get(key) != each or before[key].place != places[key]
            for document in [encode_object(key.kind, each.value)]
        }
        after = {
            key: _RowState(place, digest(rows[key])) if key in rows else before[key]
            for key, place in places.items()
        }
        position = (0, contents.farm_id, contents.epoch, contents.revision, _digest(after))
        with self._database.transaction():
            for place in stale:
                self._database.delete("DELETE FROM applied WHERE place = ?", place)
            self._database.write("applied", rows.values())
            self._database.write("applied_position", [position])
        self._rows = after
        self.contents = replace(contents, objects=dict(contents.objects))

    def _placed(self, contents: Contents) -> dict[ObjectId, int]:
        """Assign ascending places in the order of objects; they keep theirs if possible."""
        places: dict[ObjectId, int] = {}
        last = 0
        for object_id in contents.objects:
            last = max(last + 1, self._rows[object_id].place if object_id in self._rows else 0)
            places[object_id] = last
        return places


def _digest(rows: Mapping[ObjectId, _RowState]) -> str:
    return digest_text(updated_digest(0, added=sum(known.digest for known in rows.values())))
