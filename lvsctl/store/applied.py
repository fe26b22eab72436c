"""The rows of the local state that hold the farm which was applied last."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.database import Database
from lvsctl.store.digest import as_text, digest, moved
from lvsctl.store.documents import decode_object, encode_object
from lvsctl.store.interface import Contents, Stored


@dataclass(frozen=True, slots=True)
class _Known:
    """What memory holds of a row."""

    place: int
    digest: int


class AppliedRows:
    """Keeps one farm; what is written grows with what has changed.

    Args:
        database: Has the tables ``applied`` and ``applied_position``.

    Raises:
        ValueError: A row is not what lvsctl writes.
        StoreError: It cannot be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows: dict[ObjectId, _Known] = {}
        objects: dict[ObjectId, Stored] = {}
        rows = database.rows("applied")
        for row in rows:
            place, kind, name, revision, document = row
            object_id = ObjectId(Kind(kind), name)
            self._rows[object_id] = _Known(place, digest(row))
            objects[object_id] = Stored(decode_object(object_id.kind, document), revision)
        self.contents: Contents | None = None
        """The farm; None before the first."""
        positions = database.rows("applied_position")
        if rows and not positions:
            raise ValueError("its table applied_position is empty")
        if positions:
            _, farm_id, epoch, revision, found = positions[0]
            if found != _digest(self._rows):
                raise ValueError("rows of its table applied were added, altered or deleted")
            self.contents = Contents(farm_id, epoch, revision, objects)

    def replace(self, contents: Contents) -> None:
        """Write what differs, durably and at once.

        Raises:
            StoreError: The disk refuses it; what was kept before stays.
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
            key: _Known(place, digest(rows[key])) if key in rows else before[key]
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
        """Give every object a place in its order; those that have one keep it where they can."""
        places: dict[ObjectId, int] = {}
        last = 0
        for object_id in contents.objects:
            last = max(last + 1, self._rows[object_id].place if object_id in self._rows else 0)
            places[object_id] = last
        return places


def _digest(rows: Mapping[ObjectId, _Known]) -> str:
    return as_text(moved(0, added=sum(known.digest for known in rows.values())))
