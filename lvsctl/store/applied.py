"""The rows of the local state that hold the farm which was applied last."""

from dataclasses import replace

from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.database import Database
from lvsctl.store.documents import decode_object, encode_object
from lvsctl.store.interface import Contents, Stored


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
        self._places: dict[ObjectId, int] = {}
        objects: dict[ObjectId, Stored] = {}
        for place, kind, name, revision, document in database.rows("applied"):
            object_id = ObjectId(Kind(kind), name)
            self._places[object_id] = place
            objects[object_id] = Stored(decode_object(object_id.kind, document), revision)
        positions = database.rows("applied_position")
        self.contents: Contents | None = None
        """The farm; None before the first."""
        if positions:
            _, farm_id, epoch, revision = positions[0]
            self.contents = Contents(farm_id, epoch, revision, objects)

    def replace(self, contents: Contents) -> None:
        """Write what differs, durably and at once.

        Raises:
            StoreError: The disk refuses it; what was kept before stays.
        """
        known = self.contents.objects if self.contents else {}
        places = self._placed(contents)
        stale = [place for key, place in self._places.items() if places.get(key) != place]
        rows = [
            (
                places[key],
                key.kind.value,
                key.name,
                each.revision,
                encode_object(key.kind, each.value),
            )
            for key, each in contents.objects.items()
            if known.get(key) != each or self._places.get(key) != places[key]
        ]
        position = (0, contents.farm_id, contents.epoch, contents.revision)
        with self._database.transaction():
            for place in stale:
                self._database.delete("DELETE FROM applied WHERE place = ?", place)
            self._database.write("applied", rows)
            self._database.write("applied_position", [position])
        self._places = places
        self.contents = replace(contents, objects=dict(contents.objects))

    def _placed(self, contents: Contents) -> dict[ObjectId, int]:
        """Give every object a place in its order; those that have one keep it where they can."""
        places: dict[ObjectId, int] = {}
        last = 0
        for object_id in contents.objects:
            last = max(last + 1, self._places.get(object_id, 0))
            places[object_id] = last
        return places
