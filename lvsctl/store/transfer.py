"""Moves a farm between a file and etcd while no director works on it, and tells what etcd holds."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lvsctl.errors import ConfigurationError, Conflict, NotFound, StoreBehind, StoreError
from lvsctl.store.commits import Retention
from lvsctl.store.etcd.address import EtcdAddress, open_etcd_store
from lvsctl.store.etcd.layout import Head
from lvsctl.store.etcd.log import Whole
from lvsctl.store.etcd.members import MemberStatus, member_statuses
from lvsctl.store.factory import FILE, StoreLocation
from lvsctl.store.position import Position
from lvsctl.store.sqlite import SqliteStore

WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class EtcdStatus:
    """What etcd holds of a farm.

    Attributes:
        members: As each sees itself.
        position: Of the farm; None where there is none.
        commits: How many the log holds.
        problem: Why the farm cannot be read; empty where it can.
    """

    members: Sequence[MemberStatus]
    position: Position | None
    commits: int
    problem: str = ""


def import_farm(state_dir: Path, location: StoreLocation) -> Position:
    """Put the farm in a state folder's file into etcd, where it must not exist.

    Raises:
        Conflict: etcd has a farm of that name.
        NotFound: There is no such file.
        StoreError: etcd or the disk refuses it, or a director works on the file.
    """
    address = _address(location)
    path = state_dir / FILE
    if not path.exists():
        raise NotFound(f"{path} does not exist; --state-dir names the folder of the farm to import")
    with contextlib.closing(SqliteStore(path, _now, Retention())) as store:
        contents = store.load()
        if contents.lost:
            raise StoreBehind(f"{path} lost commits, up to {contents.lost}; nothing was imported")
        whole = Whole(Head(*store.head), store.rows())
    with contextlib.closing(address.open_log()) as log:
        if log.create(whole, WITHIN_S) is None:
            raise Conflict(
                f"etcd has a farm {address.farm} already; import under another name, or remove "
                f"that one: etcdctl del --prefix /lvsctl/{address.farm}/"
            )
    return contents.position


def export_farm(location: StoreLocation, state_dir: Path) -> Position:
    """Write a farm in etcd to a state folder's file, which must not exist.

    Raises:
        Conflict: The file exists.
        NotFound: etcd has no such farm.
        StoreError: etcd or the disk refuses it.
    """
    address = _address(location)
    path = state_dir / FILE
    if path.exists():
        raise Conflict(f"{path} exists; --state-dir names a folder without a farm")
    with contextlib.closing(address.open_log()) as log:
        if log.head(WITHIN_S) is None:
            raise NotFound(f"etcd has no farm {address.farm}")
    with contextlib.closing(open_etcd_store(address, path, _now, Retention())) as store:
        return store.load().position


def etcd_status(location: StoreLocation) -> EtcdStatus:
    """Return what etcd holds of a farm, as far as it answers.

    Raises:
        ConfigurationError: The location names no etcd.
    """
    address = _address(location)
    members = member_statuses(address.access)
    with contextlib.closing(address.open_log()) as log:
        try:
            head = log.head(WITHIN_S)
            size = log.size(WITHIN_S)
        except StoreError as error:
            return EtcdStatus(members, None, 0, str(error))
    return EtcdStatus(members, head.position if head else None, size)


def _address(location: StoreLocation) -> EtcdAddress:
    address = location.etcd()
    if address is None:
        raise ConfigurationError("--store names the farm in etcd: etcd://HOST:PORT/FARM")
    return address


def _now() -> datetime:
    return datetime.now(UTC)
