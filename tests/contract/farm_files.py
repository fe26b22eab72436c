"""Stores on disk: filling, closing and opening them."""

from collections.abc import Mapping
from pathlib import Path

from lvsctl.errors import StoreError
from lvsctl.farm.model import Pool
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.interface import Contents
from lvsctl.store.sqlite import SqliteStore
from tests.contract.conftest import clock
from tests.support.stores import commit

POOLS_A_COMMIT = 20


def pools(prefix: str, count: int = POOLS_A_COMMIT) -> Mapping[ObjectId, Pool]:
    """Return changes that create pools."""
    return {ObjectId(Kind.POOL, f"{prefix}{n}"): Pool(f"{prefix}{n}") for n in range(count)}


def fill(path: Path) -> list[Contents]:
    """Create a store of three revisions; return the contents after each, the empty one first."""
    store = SqliteStore(path, clock)
    history = [store.load()]
    for prefix in "abc":
        commit(store, pools(prefix))
        history.append(store.load())
    store.close()
    return history


def reopened(path: Path) -> Contents:
    """Return the contents of a store."""
    store = SqliteStore(path, clock)
    try:
        return store.load()
    finally:
        store.close()


def outcome(path: Path) -> Contents | type[StoreError]:
    """Open and load a store; return its contents, or the type of the error."""
    try:
        return reopened(path)
    except StoreError as refusal:
        return type(refusal)


def copied(path: Path, folder: Path) -> Path:
    """Copy a store with the files beside it, and return the copy."""
    folder.mkdir()
    for file in path.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder / path.name
