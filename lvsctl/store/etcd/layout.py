"""The keys of a farm in etcd, and what lies under them. Pure.

::

    /lvsctl/FARM/head          where the farm is; compared by every commit
    /lvsctl/FARM/log/REVISION  one commit: a line of JSON, then the packed documents
    /lvsctl/FARM/snapshot      all objects at one revision: a line of JSON, then packed rows
    /lvsctl/FARM/chunk/ID/N    a body that is too large for one request, in pieces
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from lvsctl.errors import StoreCorrupt, StoreTooNew
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.log_entries import FASTEST, Entry, Row, pack, unpack_documents
from lvsctl.store.position import Position

FORMAT = 1
"""Rises when an older lvsctl could not read what a newer one writes."""

CHUNK = 1_000_000
"""Bytes of a body in one key: etcd takes requests of 1.5 MiB."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the farm is.

    Attributes:
        position: Of the latest commit.
        id: The latest commit's.
        mod_revision: etcd's own revision that wrote it; 0 where there is none.
    """

    position: Position
    id: str
    mod_revision: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What lies under a key of the log or of the snapshot.

    Attributes:
        head: Line of JSON.
        body: Compressed; empty where it lies in chunks.
        body_id: Under which its chunks lie.
        chunks: How many there are.
    """

    head: dict[str, str | int]
    body: bytes
    body_id: str = ""
    chunks: int = 0

    def encode(self) -> bytes:
        """Write it as the value of a key."""
        line = {**self.head, "body_id": self.body_id, "chunks": self.chunks}
        return json.dumps(line).encode() + b"\n" + self.body


class Keys:
    """The keys of one farm.

    Args:
        farm: Its name in etcd.
    """

    def __init__(self, farm: str) -> None:
        self._prefix = f"/lvsctl/{farm}/"

    @property
    def head(self) -> bytes:
        """Where the farm is."""
        return f"{self._prefix}head".encode()

    @property
    def snapshot(self) -> bytes:
        """All objects at one revision."""
        return f"{self._prefix}snapshot".encode()

    def entry(self, revision: int) -> bytes:
        """Return the key of a commit."""
        return f"{self._prefix}log/{revision:012d}".encode()

    def chunk(self, body_id: str, number: int) -> bytes:
        """Return the key of a piece of a body."""
        return f"{self._prefix}chunk/{body_id}/{number:06d}".encode()

    def chunks_end(self, body_id: str) -> bytes:
        """Return the key behind the last piece of a body."""
        return f"{self._prefix}chunk/{body_id}0".encode()


def encode_head(head: Head) -> bytes:
    """Write where the farm is."""
    return json.dumps({**asdict(head.position), "id": head.id, "format": FORMAT}).encode()


def decode_head(value: bytes, mod_revision: int) -> Head:
    """Read where the farm is.

    Raises:
        StoreTooNew: A newer lvsctl wrote it.
        StoreCorrupt: It is not what :func:`encode_head` writes.
    """
    try:
        found = json.loads(value)
        if found["format"] > FORMAT:
            raise StoreTooNew(
                f"the farm in etcd has format {found['format']}; this lvsctl knows format {FORMAT} "
                "and goes on with what it has. Upgrade lvsctl on this director"
            )
        position = Position(found["farm_id"], int(found["epoch"]), int(found["revision"]))
        return Head(position, str(found["id"]), mod_revision)
    except (ValueError, TypeError, KeyError) as error:
        raise damaged("head", error) from error


def envelope_of(entry: Entry) -> Envelope:
    """Write a commit."""
    head: dict[str, str | int] = {
        **asdict(entry.position),
        "id": entry.id,
        "at": entry.at.isoformat(),
        "by": entry.by,
    }
    return Envelope(head, pack(entry.documents))


def snapshot_of(head: Head, rows: Sequence[Row]) -> Envelope:
    """Write all objects, in creation order."""
    cells = [(row.object_id.kind, row.object_id.name, row.revision, row.document) for row in rows]
    body = zlib.compress(json.dumps(cells, separators=(",", ":")).encode(), FASTEST)
    return Envelope({**asdict(head.position), "id": head.id}, body)


def read_envelope(value: bytes) -> Envelope:
    """Read what lies under a key of the log or of the snapshot.

    Raises:
        StoreCorrupt: It is not what :meth:`Envelope.encode` writes.
    """
    try:
        line, body = value.split(b"\n", 1)
        head = json.loads(line)
        return Envelope(head, body, str(head.pop("body_id")), int(head.pop("chunks")))
    except (ValueError, TypeError, KeyError) as error:
        raise damaged("an entry of the log", error) from error


def read_entry(envelope: Envelope) -> Entry:
    """Read a commit whose body is whole.

    Raises:
        StoreCorrupt: It is none.
    """
    try:
        return Entry(
            _position(envelope),
            str(envelope.head["id"]),
            datetime.fromisoformat(str(envelope.head["at"])),
            str(envelope.head["by"]),
            unpack_documents(envelope.body),
        )
    except (ValueError, KeyError) as error:
        raise damaged("an entry of the log", error) from error


def read_snapshot(envelope: Envelope) -> tuple[Head, Sequence[Row]]:
    """Read all objects, in creation order.

    Raises:
        StoreCorrupt: It is no snapshot.
    """
    try:
        cells = json.loads(zlib.decompress(envelope.body))
        rows = [
            Row(ObjectId(Kind(kind), name), revision, document)
            for kind, name, revision, document in cells
        ]
        return Head(_position(envelope), str(envelope.head["id"])), rows
    except (ValueError, TypeError, KeyError, zlib.error) as error:
        raise damaged("the snapshot", error) from error


def damaged(what: str, cause: object) -> StoreCorrupt:
    """Return the error for damaged data in etcd."""
    return StoreCorrupt(
        f"the farm in etcd is damaged: {what}: {cause}. Forwarding in the kernel is not affected. "
        "Restore etcd from a snapshot of its own (etcdctl snapshot restore)"
    )


def _position(envelope: Envelope) -> Position:
    head = envelope.head
    return Position(str(head["farm_id"]), int(head["epoch"]), int(head["revision"]))
