"""Checksums over rows: SQLite guards its own structure, not what the cells hold."""

import zlib
from hashlib import blake2b
from typing import Any

Row = tuple[Any, ...]
"""Cells of a row: str, int, bytes or None, as its table says."""

_MODULUS = 2**256


def checksum(row: Row) -> int:
    """Return a checksum over the cells of one row."""
    return zlib.crc32(ascii(row).encode())


def digest(row: Row) -> int:
    """Return a row's part in the digest of a table."""
    return int.from_bytes(blake2b(ascii(row).encode(), digest_size=32).digest())


def moved(total: int, *, added: int = 0, removed: int = 0) -> int:
    """Return the digest of a table after rows came and went.

    It is the sum of the rows' digests, so that keeping it costs what changes, in any order.
    """
    return (total + added - removed) % _MODULUS


def as_text(total: int) -> str:
    """Write the digest of a table in 64 hexadecimal digits."""
    return f"{total:064x}"
