"""Devices and addresses that lvsctl added to this host, in the local state's file."""

from collections.abc import Collection

from lvsctl.store.database import Database
from lvsctl.store.documents import decode_host_claim, encode_key
from lvsctl.store.interface import HostClaim


class SqliteHostClaims:
    """The table of claimed devices and addresses.

    Raises:
        ValueError: It holds something else.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claimed: dict[HostClaim, None] = {
            decode_host_claim(key): None for (key,) in database.rows("host_claims")
        }

    def claimed(self) -> Collection[HostClaim]:
        """Return the claimed devices and addresses."""
        return tuple(self._claimed)

    def claim(self, keys: Collection[HostClaim]) -> None:
        """Claim devices and addresses; those already claimed are not written."""
        new = [key for key in keys if key not in self._claimed]
        with self._database.transaction():
            self._database.write("host_claims", [(encode_key(key),) for key in new])
        self._claimed.update(dict.fromkeys(new))

    def release(self, keys: Collection[HostClaim]) -> None:
        """Release devices and addresses."""
        with self._database.transaction():
            for key in keys:
                self._database.delete("DELETE FROM host_claims WHERE key = ?", encode_key(key))
        for key in keys:
            self._claimed.pop(key, None)
