"""Choosing where the farm is kept."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lvsctl.errors import ConfigurationError
from lvsctl.store.commits import Retention
from lvsctl.store.etcd.address import EtcdAddress, open_etcd_store, parse_address
from lvsctl.store.interface import Store
from lvsctl.store.sqlite import SqliteStore

FILE = "farm.db"
"""Name of the store in the state folder, or of its replica."""


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where the farm is kept, as the command line says.

    Attributes:
        url: Of a farm in etcd; None for a file in the state folder.
        password_file: Holds the password of the URL's user.
        ca_file: Certificates of the authorities that etcd's are checked against; None for the
            system's.
        certificate_file: This client's certificate and, unless there is a key file, its key.
        key_file: The key of that certificate.
    """

    url: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def etcd(self) -> EtcdAddress | None:
        """Return where the farm is in etcd; None where it is in a file.

        Raises:
            ConfigurationError: The URL or a file cannot be used.
        """
        if self.url is None:
            return None
        return parse_address(self.url, self.password_file, self._tls())

    def _tls(self) -> ssl.SSLContext | None:
        if self.url is None or not self.url.startswith("etcd+tls:"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"--store {self.url}: certificates: {error}") from error
        return context


IN_A_FILE = StoreLocation()


def open_store(
    location: StoreLocation, state_dir: Path, clock: Callable[[], datetime], retention: Retention
) -> Store:
    """Open the farm's store.

    Raises:
        ConfigurationError: The location cannot be used.
        StoreError: The disk refuses, or neither etcd nor the replica tells the farm.
    """
    address = location.etcd()
    if address is None:
        return SqliteStore(state_dir / FILE, clock, retention)
    return open_etcd_store(address, state_dir / FILE, clock, retention)
