"""Where a farm lies in etcd, as ``--store`` names it, and how to reach it."""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lvsctl.errors import ConfigurationError, StoreCorrupt
from lvsctl.store.commits import Retention
from lvsctl.store.etcd.gateway import Access, Gateway
from lvsctl.store.etcd.log import EtcdLog
from lvsctl.store.etcd.replica import SqliteReplica
from lvsctl.store.etcd.store import EtcdStore
from lvsctl.store.etcd.watcher import LogWatcher
from lvsctl.token_file import read_password

_URL = re.compile(
    r"etcd(?P<tls>\+tls)?://((?P<user>[^@/]+)@)?(?P<members>[^/@]+)/(?P<farm>[A-Za-z0-9._-]+)"
)
_EXPECTED = "etcd://[USER@]HOST:PORT[,HOST:PORT...]/FARM, or etcd+tls:// for TLS"


@dataclass(frozen=True, slots=True)
class EtcdAddress:
    """A farm in an etcd.

    Attributes:
        access: How to reach it.
        farm: Its name there.
    """

    access: Access
    farm: str

    def open_log(self) -> EtcdLog:
        """Return the log of the farm, for one thread."""
        return EtcdLog(Gateway(self.access), self.farm)


def parse_address(
    url: str, password_file: Path | None = None, tls: ssl.SSLContext | None = None
) -> EtcdAddress:
    """Read what ``--store`` names.

    Raises:
        ConfigurationError: It is no such URL, or the password cannot be read.
    """
    found = _URL.fullmatch(url)
    if not found:
        raise ConfigurationError(f"--store {url}: expected {_EXPECTED}")
    user = found["user"] or ""
    if user and password_file is None:
        raise ConfigurationError(f"--store {url}: user {user} needs --store-password-file")
    scheme = "https" if found["tls"] else "http"
    endpoints = tuple(f"{scheme}://{member}" for member in found["members"].split(","))
    password = read_password(password_file, "--store-password-file") if password_file else ""
    return EtcdAddress(Access(endpoints, user, password, tls), found["farm"])


def open_etcd_store(
    address: EtcdAddress, path: Path, clock: Callable[[], datetime], retention: Retention
) -> EtcdStore:
    """Return the store of a farm in etcd, with its replica in a file.

    Raises:
        StoreError: Neither etcd nor the replica tells the farm, or the disk refuses the file.
    """
    try:
        replica = SqliteReplica(path, clock, retention)
    except StoreCorrupt:
        # Nothing is lost with a replica: etcd has it all.
        for file in path.parent.glob(f"{path.name}*"):
            file.rename(file.with_name(f"{file.name}.damaged"))
        replica = SqliteReplica(path, clock, retention)
    try:
        return EtcdStore(
            replica,
            address.open_log(),
            lambda head, announce: LogWatcher(address.open_log(), head, announce),
            clock,
        )
    except BaseException:
        replica.close()
        raise
