"""Stores on a disk, as tests fill, close and open them."""

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
    """Return changes that make pools."""
    return {ObjectId(Kind.POOL, f"{prefix}{n}"): Pool(f"{prefix}{n}") for n in range(count)}


def fill(path: Path) -> list[Contents]:
    """Make a store of three revisions and return what each left, the empty one first."""
    store = SqliteStore(path, clock)
    history = [store.load()]
    for prefix in "abc":
        commit(store, pools(prefix))
        history.append(store.load())
    store.close()
    return history


def reopened(path: Path) -> Contents:
    """Return what a store holds."""
    store = SqliteStore(path, clock)
    try:
        return store.load()
    finally:
        store.close()


def outcome(path: Path) -> Contents | type[StoreError]:
    """Return what opening and loading a store gives, contents or the kind of refusal."""
    try:
        return reopened(path)
    except StoreError as refusal:
        return type(refusal)


def copied(path: Path, folder: Path) -> Path:
    """Copy a store with all that lies beside it, as it is at this moment, and return the copy."""
    folder.mkdir()
    for file in path.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder / path.name
