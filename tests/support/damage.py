"""What disks, programs and people do to a file."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], None]
"""Does something to the file that a path names, which may not exist."""


def replaced(content: bytes) -> Damage:
    """Return what puts other bytes in a file's place."""
    return lambda path: _write(path, content)


def changed(change: Callable[[bytes], bytes]) -> Damage:
    """Return what makes other bytes of a file's."""
    return lambda path: _write(path, change(path.read_bytes()))


def truncated(share: float) -> Damage:
    """Return what cuts a file off at a share of its length."""
    return changed(lambda raw: raw[: int(len(raw) * share)])


def truncated_at(size: int) -> Damage:
    """Return what cuts a file off after some bytes."""
    return changed(lambda raw: raw[:size])


def flipped(place: float, bit: int = 2) -> Damage:
    """Return what flips a bit of a file; the place is a share of its length."""
    return changed(lambda raw: _flipped(raw, int(len(raw) * place), bit))


def flipped_between(first: int, last: int, seed: int) -> Damage:
    """Return what flips one bit of the bytes from first to last, and always the same one."""
    chosen = random.Random(seed)  # noqa: S311 - must be the same each time
    at, bit = chosen.randint(first, last), chosen.randrange(8)
    return changed(lambda raw: _flipped(raw, min(at, len(raw) - 1), bit))


def flipped_after(first: int, seed: int) -> Damage:
    """Return what flips one bit from a byte to the end of the file, and always the same one."""
    chosen = random.Random(seed)  # noqa: S311 - must be the same each time
    place, bit = chosen.random(), chosen.randrange(8)
    return changed(lambda raw: _flipped(raw, first + int((len(raw) - first) * place), bit))


def zeroed(at: int, length: int = 64) -> Damage:
    """Return what puts zeros in place of some bytes; a negative place is from the end."""

    def change(raw: bytes) -> bytes:
        begin = at % len(raw)
        return raw[:begin] + bytes(length) + raw[begin + length :]

    return changed(change)


def copied_from(source: Path) -> Damage:
    """Return what puts a copy of another file in a file's place."""
    return lambda path: _write(path, source.read_bytes())


def missing(path: Path) -> None:
    """Delete it."""
    path.unlink(missing_ok=True)


def directory(path: Path) -> None:
    """Put a folder that is not empty in its place."""
    path.unlink(missing_ok=True)
    (path / "inside").mkdir(parents=True)


def link_to_itself(path: Path) -> None:
    """Put a link in its place that leads nowhere."""
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def link_away(path: Path) -> None:
    """Move it to another folder, and leave a link behind."""
    target = path.parent.parent / f"elsewhere-{path.name}"
    if path.exists():
        shutil.move(path, target)
    path.symlink_to(target)


def link_to_nothing(path: Path) -> None:
    """Put a link to a file that does not exist in its place."""
    path.unlink(missing_ok=True)
    path.symlink_to(path.parent.parent / "nothing")


def pipe(path: Path) -> None:
    """Put a FIFO in its place, at which nobody writes."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _flipped(raw: bytes, at: int, bit: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :] if raw else bytes([1 << bit])


def _write(path: Path, content: bytes) -> None:
    if path.is_socket():
        path.unlink()
    path.write_bytes(content)


SPECIAL: dict[str, Damage] = {
    "missing": missing,
    "a directory": directory,
    "a link to itself": link_to_itself,
    "a link away": link_away,
    "a link to nothing": link_to_nothing,
    "a pipe": pipe,
}
"""What is no regular file any more."""

CONTENT: dict[str, Damage] = {
    "empty": replaced(b""),
    "truncated": truncated(0.5),
    "garbage": replaced(bytes(range(256)) * 100),
    "zeros": changed(lambda raw: bytes(len(raw))),
    "a bit at its start": flipped(0.0),
    "a bit in the first half": flipped(0.4),
    "a bit in the second half": flipped(0.7),
    "a bit at its end": flipped(0.97),
}
"""What any file can have in place of what was written."""
