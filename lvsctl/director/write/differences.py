"""What changed in an object, from what to what, in words. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from itertools import islice
from typing import Any

from lvsctl.director.state import State
from lvsctl.farm.access import Secret
from lvsctl.farm.objects import Changes, ObjectId, StoredObject
from lvsctl.times import format_utc

MAX_CHANGED = 50
"""Lines for one commit: a large farm's documents are in the commit themselves."""
MAX_LINE = 300
NOTHING = "none"


def changed_lines(before: State, changes: Changes) -> tuple[str, ...]:
    """Return what a commit changes, from what to what; only the first lines of a long one."""
    found = list(islice(_all_lines(before, changes), MAX_CHANGED + 1))
    if len(found) > MAX_CHANGED:
        found[-1] = "and more"
    return tuple(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in found)


def _all_lines(before: State, changes: Changes) -> Iterator[str]:
    for object_id, after in changes.items():
        yield from _lines(object_id, before.value(object_id), after)


def _lines(
    object_id: ObjectId, old: StoredObject | None, new: StoredObject | None
) -> Iterator[str]:
    if old is None:
        yield f"add {object_id}{_summary(new)}"
    elif new is None:
        yield f"remove {object_id}{_summary(old)}"
    else:
        for path, was, now in _differences("", old, new):
            yield f"change {object_id}: {path.removeprefix('/')} {was} → {now}"


def _summary(value: StoredObject | None) -> str:
    """Return the plain fields of an object; what it contains beside is in its document."""
    plain = [
        f"{each.name} {_text(found)}"
        for each in fields(value)  # type: ignore[arg-type]
        for found in [getattr(value, each.name)]
        if each.name != "name" and _is_plain(found)
    ]
    return f": {', '.join(plain)}" if plain else ""


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, str, str]]:  # noqa: ANN401
    """Yield path, old and new value of everything that differs, and look at nothing else."""
    if old is new or old == new:
        return
    if is_dataclass(old) and type(old) is type(new) and not isinstance(old, Secret):
        for each in fields(old):
            inner = (getattr(old, each.name), getattr(new, each.name))
            yield from _differences(f"{path}/{each.name}", *inner)
    elif (before := _by_name(old)) is not None and (after := _by_name(new)) is not None:
        for name in {**before, **after}:
            yield from _differences(f"{path}/{name}", before.get(name), after.get(name))
    else:
        yield path, _text(old), _text(new)


def _by_name(value: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - whatever a field holds
    """Return the parts of a value by name, where they have names."""
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    if isinstance(value, tuple) and all(hasattr(part, "name") for part in value):
        return {part.name: part for part in value}
    return None


def _is_plain(value: object) -> bool:
    return (
        value not in (None, "")
        and not isinstance(value, tuple | frozenset | Mapping)
        and not (is_dataclass(value))
    )


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a field holds
    match value:
        case None | "" | ():
            return NOTHING
        case Secret(created=created):  # its digest would only be in the way
            return f"created {_text(created)}"
        case datetime():
            return format_utc(value)
        case Enum():
            return str(value.value if isinstance(value, str) else value.name or value.value).lower()
        case tuple():
            return ", ".join(map(_text, value))
        case frozenset():
            return ", ".join(sorted(map(_text, value)))
        case _ if is_dataclass(value):
            parts = ((each.name, getattr(value, each.name)) for each in fields(value))
            return " ".join(f"{name} {_text(part)}" for name, part in parts)
        case _:
            return str(value)
