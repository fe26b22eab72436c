"""The changes of a commit as one compressed entry of a log, and back.

A log of a large farm is mostly repetition: deflated, a commit of five megabytes of documents is a
fifteenth of that. A commit is one entry, so that one checksum covers it whole.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.store.documents import UnreadableDocument, decode_object, encode_object
from lvsctl.store.position import Position

FASTEST = 1
"""The compression's level: the highest one gains a quarter of the size in four times the time."""

Documents = Mapping[ObjectId, str | None]
"""Documents of new values; None deletes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A commit as every director's replica keeps it.

    Attributes:
        position: That it leads to.
        id: Made by the committer; no two commits have the same.
        at: When, in UTC.
        by: Who asked for it.
        documents: New ones; None deletes.
    """

    position: Position
    id: str
    at: datetime
    by: str
    documents: Documents


@dataclass(frozen=True, slots=True)
class Row:
    """A live object, with the revision of the whole store at which it got this value."""

    object_id: ObjectId
    revision: int
    document: str


def encode_changes(changes: Changes) -> Documents:
    """Write each new value as a document.

    Raises:
        TypeError: A value is of another kind than its name.
    """
    return {
        object_id: None if value is None else encode_object(object_id.kind, value)
        for object_id, value in changes.items()
    }


def pack(documents: Documents) -> bytes:
    """Write the changes of a commit as one entry."""
    rows = [(each.kind, each.name, document) for each, document in documents.items()]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), FASTEST)


def unpack_documents(entry: bytes) -> Documents:
    """Read the documents of a commit.

    Raises:
        UnreadableDocument: It is not what :func:`pack` writes.
    """
    try:
        rows = json.loads(zlib.decompress(entry))
        return {ObjectId(Kind(kind), name): document for kind, name, document in rows}
    except (ValueError, TypeError, zlib.error) as error:
        raise UnreadableDocument(f"no entry of a log: {error}") from error


def unpack(entry: bytes) -> Changes:
    """Read the changes of a commit.

    Raises:
        UnreadableDocument: It is not what :func:`pack` writes.
    """
    return {
        object_id: None if document is None else decode_object(object_id.kind, document)
        for object_id, document in unpack_documents(entry).items()
    }
