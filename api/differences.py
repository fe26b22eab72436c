"""What a write changes, field by field, as documents. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from api.schemas.answers import Difference
from api.schemas.base import Json
from api.schemas.farm import Settings
from api.schemas.pool import Pool
from api.schemas.service import Service
from api.schemas.tunnel import PointToPointTunnel
from lvsctl.director.state import State
from lvsctl.farm.objects import Changes, Directors, Kind, ObjectId, StoredObject


def differences(before: State, changes: Changes) -> Sequence[Difference]:
    """Return what changes of declared objects make different, in their order.

    Args:
        before: The farm without them.
        changes: New values; None deletes.
    """
    return [
        difference
        for object_id, value in changes.items()
        if object_id.kind in _DOCUMENTS
        for difference in _of_object(object_id, before.value(object_id), value)
    ]


def _of_object(
    object_id: ObjectId, before: StoredObject | None, after: StoredObject | None
) -> Iterator[Difference]:
    root, document = _DOCUMENTS[object_id.kind]
    path = f"/{root}/{object_id.name}" if object_id.name else f"/{root}"
    old = None if before is None else document(before)
    new = None if after is None else document(after)
    yield from _between(path, old, new)


def _between(path: str, old: Json, new: Json) -> Iterator[Difference]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from _between(f"{path}/{_escaped(name)}", old.get(name), new.get(name))
    elif (olds := _items(path, old)) is not None and (news := _items(path, new)) is not None:
        for name in dict.fromkeys([*olds, *news]):
            yield from _between(f"{path}/{_escaped(name)}", olds.get(name), news.get(name))
    else:
        yield {"op": _operation(old, new), "path": path, "old": old, "new": new}


def _operation(old: Json, new: Json) -> Literal["add", "remove", "change"]:
    if old is None:
        return "add"
    return "remove" if new is None else "change"


def _items(path: str, value: Json) -> Mapping[str, Json] | None:
    """Return the items of a list of objects by name, or by number; None if it is no such list."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return None
    if path.endswith(("/real_servers", "/directors")):
        return {each["name"]: each for each in value}
    return {str(number): each for number, each in enumerate(value)}


def _escaped(name: str) -> str:
    """Write a name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _directors(value: Any) -> Json:  # noqa: ANN401 - as its kind says
    assert isinstance(value, Directors)  # noqa: S101 - the kind says so
    return [
        {"name": each.name, "addresses": [*map(str, each.addresses)]} for each in value.directors
    ]


_DOCUMENTS: Mapping[Kind, tuple[str, Callable[[Any], Json]]] = {
    Kind.SERVICE: ("services", lambda value: Service.of(value).plain()),
    Kind.POOL: ("pools", lambda value: Pool.of(value).plain()),
    Kind.TUNNEL: ("tunnels", lambda value: PointToPointTunnel.of(value).plain()),
    Kind.DIRECTORS: ("directors", _directors),
    Kind.SETTINGS: ("settings", lambda value: Settings.of(value).plain()),
}
"""Where in the farm file the objects of a kind are, and their documents."""
