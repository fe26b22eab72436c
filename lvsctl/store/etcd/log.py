"""The log of a farm's commits in etcd: append to it, read what follows, cut what is old.

A key for each object would need dozens of transactions for a large farm, none of them atomic with
the others. A log needs one, at any size, and tells a follower that missed something.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from lvsctl.errors import StoreBehind
from lvsctl.store.etcd.gateway import Gateway, Stream, read_bytes, text
from lvsctl.store.etcd.layout import (
    CHUNK,
    Envelope,
    Head,
    Keys,
    damaged,
    decode_head,
    encode_head,
    envelope_of,
    read_entry,
    read_envelope,
    read_snapshot,
    snapshot_of,
)
from lvsctl.store.log_entries import Entry, Row

PAGE = 64
"""How many commits are read at once; each is at most a megabyte."""

STAGED_S = 60
"""How long pieces of a body outlive a writer that never commits them, in seconds."""

Operation = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Whole:
    """All objects of a farm at one head."""

    head: Head
    rows: Sequence[Row]


News = Sequence[Entry] | Whole
"""The commits that follow, or everything where they cannot be told one by one."""


class EtcdLog:
    """The log of one farm; used by one thread.

    Args:
        gateway: To etcd.
        farm: Name of the farm there.
    """

    def __init__(self, gateway: Gateway, farm: str) -> None:
        self._gateway = gateway
        self._farm = farm
        self._keys = Keys(farm)

    def head(self, within_s: float) -> Head | None:
        """Return where the farm is; None where etcd has no such farm.

        Raises:
            StoreError: etcd does not answer, or has something else there.
        """
        return self._head(within_s)[0]

    def append(self, known: Head | None, entry: Entry, within_s: float) -> Head | None:
        """Append a commit if the farm is where it is known to be.

        Asked again after an answer was lost it finds what it did the first time.

        Args:
            known: The head that the commit was judged by; None where there was none.
            entry: The commit.
            within_s: How long to try, in seconds.

        Returns:
            The new head; None where the farm is elsewhere.

        Raises:
            StoreUnavailable: It is not known whether it was appended.
            StoreRefused: etcd refuses it.
        """
        envelope, pins = self._staged(envelope_of(entry), entry.id, within_s)
        key = self._keys.entry(entry.position.revision)
        head = Head(entry.position, entry.id)
        answer = self._transaction(
            known,
            [_put(self._keys.head, encode_head(head)), _put(key, envelope.encode()), *pins],
            [{"request_range": {"key": text(key)}}],
            within_s,
        )
        if answer.get("succeeded"):
            return replace(head, mod_revision=int(answer["header"]["revision"]))
        for found in answer["responses"][0]["response_range"].get("kvs", ()):
            if read_envelope(read_bytes(found["value"])).head.get("id") == entry.id:
                return replace(head, mod_revision=int(found["mod_revision"]))
        return None

    def create(self, whole: Whole, within_s: float) -> Head | None:
        """Make a new farm of these objects; None where there is one already."""
        head = whole.head
        envelope, pins = self._staged(
            snapshot_of(head, whole.rows), f"snapshot-{head.id}", within_s
        )
        operations = [
            _put(self._keys.head, encode_head(head)),
            _put(self._keys.snapshot, envelope.encode()),
            *pins,
        ]
        answer = self._transaction(None, operations, [], within_s)
        if not answer.get("succeeded"):
            return None
        return replace(head, mod_revision=int(answer["header"]["revision"]))

    def news_after(self, known: Head, within_s: float) -> tuple[Head, News] | None:
        """Return what was committed after a head, and where it leads; None where nothing was.

        Raises:
            StoreBehind: etcd does not continue from there.
            StoreError: etcd does not answer, or has something else there.
        """
        head, at = self._head(within_s)
        why = _why_not_after(known, head, self._farm)
        if why or head is None:
            raise StoreBehind(why)
        if head == known:
            return None
        first = known.position.revision
        entries = self._entries(max(first, 1), head.position.revision, at, within_s)
        if first == 0 and [each.position.revision for each in entries[:1]] == [1]:
            return head, entries
        if first and entries and (entries[0].position.revision, entries[0].id) == (first, known.id):
            return head, entries[1:]
        same_epoch = known.position.epoch == head.position.epoch
        if same_epoch and entries and entries[0].position.revision == first:
            raise StoreBehind(
                f"the farm {self._farm} in etcd has another past than this director: its revision "
                f"{first} is not the one that was followed"
            )
        return head, self._everything(head, at, within_s)

    def everything(self, within_s: float) -> Whole | None:
        """Return all objects; None where etcd has no such farm."""
        head, at = self._head(within_s)
        return self._everything(head, at, within_s) if head else None

    def find(self, revision: int, within_s: float) -> str | None:
        """Return the id of the commit that made a revision; None where there is none."""
        request = {"key": text(self._keys.entry(revision))}
        answer = self._gateway.ask("kv/range", request, within_s)
        for found in answer.get("kvs", ()):
            return str(read_envelope(read_bytes(found["value"])).head.get("id"))
        return None

    def wait(self, after: Head | None, within_s: float, stream: Stream) -> None:
        """Wait until the head may have changed."""
        revision = after.mod_revision + 1 if after else 0
        self._gateway.changed(self._keys.head, revision, within_s, stream)

    def cut(self, keep: int, within_s: float) -> bool:
        """Forget commits that a snapshot stands for, where there are twice as many as are kept.

        Args:
            keep: How many of the latest stay, for followers that were away.
            within_s: For each request, in seconds.

        Returns:
            Whether anything was forgotten.
        """
        oldest = self._oldest(within_s)
        whole = self.everything(within_s)
        if whole is None or oldest is None:
            return False
        head = whole.head
        first_kept = head.position.revision - keep + 1
        if first_kept - oldest < keep:
            return False
        envelope, pins = self._staged(
            snapshot_of(head, whole.rows), f"snapshot-{head.id}", within_s
        )
        gone = [*self._values(oldest, first_kept - 1, 0, within_s)]
        before = self._value(self._keys.snapshot, within_s)
        operations = [
            _put(self._keys.snapshot, envelope.encode()),
            *pins,
            {"request_delete_range": _range(self._keys.entry(0), self._keys.entry(first_kept))},
            *chain.from_iterable(map(self._without_chunks, [*gone, *([before] if before else [])])),
        ]
        return bool(self._transaction(head, operations, [], within_s).get("succeeded"))

    def size(self, within_s: float) -> int:
        """Return how many commits the log holds."""
        request = {
            **_range(self._keys.entry(0), self._keys.entry(10**12 - 1)),
            "count_only": True,
        }
        return int(self._gateway.ask("kv/range", request, within_s).get("count", 0))

    def close(self) -> None:
        """Let go of all connections."""
        self._gateway.close()

    # --- requests ---------------------------------------------------------------------------

    def _head(self, within_s: float) -> tuple[Head | None, int]:
        """Return the head, and etcd's own revision at which it was so."""
        answer = self._gateway.ask("kv/range", {"key": text(self._keys.head)}, within_s)
        at = int(answer["header"]["revision"])
        for found in answer.get("kvs", ()):
            return decode_head(read_bytes(found["value"]), int(found["mod_revision"])), at
        return None, at

    def _value(self, key: bytes, within_s: float, at: int = 0) -> bytes | None:
        request = {"key": text(key), "revision": str(at)}
        answer = self._gateway.ask("kv/range", request, within_s)
        for found in answer.get("kvs", ()):
            return read_bytes(found["value"])
        return None

    def _oldest(self, within_s: float) -> int | None:
        request = {
            **_range(self._keys.entry(0), self._keys.entry(10**12 - 1)),
            "limit": "1",
            "keys_only": True,
        }
        for found in self._gateway.ask("kv/range", request, within_s).get("kvs", ()):
            return int(read_bytes(found["key"]).rsplit(b"/", 1)[1])
        return None

    def _entries(self, first: int, last: int, at: int, within_s: float) -> list[Entry]:
        """Return the commits of a range of revisions that are there, without a gap."""
        entries: list[Entry] = []
        for value in self._values(first, last, at, within_s):
            envelope = read_envelope(value)
            entries.append(read_entry(self._whole_body(envelope, at, within_s)))
        revisions = [each.position.revision for each in entries]
        if revisions and revisions != list(range(revisions[0], last + 1)):
            raise damaged("the log", f"commits between {revisions[0]} and {last} are missing")
        return entries

    def _values(self, first: int, last: int, at: int, within_s: float) -> Iterator[bytes]:
        start = self._keys.entry(first)
        while True:
            request = {
                **_range(start, self._keys.entry(last + 1)),
                "limit": str(PAGE),
                "revision": str(at),
            }
            answer = self._gateway.ask("kv/range", request, within_s)
            kvs = answer.get("kvs", ())
            for found in kvs:
                yield read_bytes(found["value"])
            if not kvs or not answer.get("more"):
                return
            start = read_bytes(kvs[-1]["key"]) + b"\0"

    def _everything(self, head: Head, at: int, within_s: float) -> Whole:
        rows: Sequence[Row] = ()
        value = self._value(self._keys.snapshot, within_s, at)
        first = 1
        if value is not None:
            envelope = self._whole_body(read_envelope(value), at, within_s)
            snapshot, rows = read_snapshot(envelope)
            first = snapshot.position.revision + 1
        last = head.position.revision
        entries = self._entries(first, last, at, within_s)
        if (entries[0].position.revision if entries else last + 1) != first:
            raise damaged("the log", f"it does not lead from revision {first} on")
        live = {row.object_id: row for row in rows}
        for entry in entries:
            for name, document in entry.documents.items():
                if document is None:
                    live.pop(name, None)
                else:
                    live[name] = Row(name, entry.position.revision, document)
        return Whole(head, tuple(live.values()))

    def _transaction(
        self,
        known: Head | None,
        success: Sequence[Operation],
        failure: Sequence[Operation],
        within_s: float,
    ) -> Mapping[str, Any]:
        compare = {
            "key": text(self._keys.head),
            "target": "MOD",
            "result": "EQUAL",
            "mod_revision": str(known.mod_revision if known else 0),
        }
        request = {"compare": [compare], "success": success, "failure": failure}
        return self._gateway.ask("kv/txn", request, within_s)

    # --- bodies in pieces -------------------------------------------------------------------

    def _staged(
        self, envelope: Envelope, body_id: str, within_s: float
    ) -> tuple[Envelope, Sequence[Operation]]:
        """Put a large body into pieces of its own, and return what makes them stay.

        They go by themselves where the writer never commits.
        """
        body = envelope.body
        if len(body) <= CHUNK:
            return envelope, ()
        granted = self._gateway.ask("lease/grant", {"TTL": str(STAGED_S)}, within_s)
        pins: list[Operation] = []
        for number, start in enumerate(range(0, len(body), CHUNK)):
            key = text(self._keys.chunk(body_id, number))
            piece = text(body[start : start + CHUNK])
            request = {"key": key, "value": piece, "lease": granted["ID"]}
            self._gateway.ask("kv/put", request, within_s)
            pins.append({"request_put": {"key": key, "ignore_value": True}})
        return Envelope(envelope.head, b"", body_id, len(pins)), pins

    def _staged_snapshot(
        self, whole: Whole, within_s: float
    ) -> tuple[Envelope, Sequence[Operation]]:
        body_id = f"snapshot-{whole.head.id}"
        return self._staged(snapshot_of(whole.head, whole.rows), body_id, within_s)

    def _whole_body(self, envelope: Envelope, at: int, within_s: float) -> Envelope:
        if not envelope.chunks:
            return envelope
        pieces: list[bytes] = []
        for number in range(envelope.chunks):
            piece = self._value(self._keys.chunk(envelope.body_id, number), within_s, at)
            if piece is None:
                raise damaged("a body", f"piece {number} of {envelope.body_id} is missing")
            pieces.append(piece)
        return replace(envelope, body=b"".join(pieces), chunks=0)

    def _without_chunks(self, value: bytes) -> Iterator[Operation]:
        """Yield what deletes the pieces of a body that is deleted itself."""
        envelope = read_envelope(value)
        if envelope.chunks:
            start, end = (
                self._keys.chunk(envelope.body_id, 0),
                self._keys.chunks_end(envelope.body_id),
            )
            yield {"request_delete_range": _range(start, end)}


def _why_not_after(known: Head, head: Head | None, farm: str) -> str:
    """Return why a head does not continue a known one; empty if it may."""
    here = known.position
    if head is None:
        return f"etcd has no farm {farm} any more; this director has followed it to {here}"
    there = head.position
    if there.farm_id != here.farm_id:
        return f"the farm {farm} in etcd is another one now ({there}); this director is at {here}"
    if not there.holds(here):
        return f"the farm {farm} in etcd went back to {there}; this director has followed to {here}"
    if there == here and head.id != known.id:
        return f"the farm {farm} in etcd has another past than this director, both at {here}"
    return ""


def _put(key: bytes, value: bytes) -> Operation:
    return {"request_put": {"key": text(key), "value": text(value)}}


def _range(start: bytes, end: bytes) -> dict[str, Any]:
    return {"key": text(start), "range_end": text(end)}
