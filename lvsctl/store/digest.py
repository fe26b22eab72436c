"""Checksums over rows: SQLite checks the structure of its file, not the contents of cells."""

import zlib
from hashlib import blake2b
from typing import Any

Row = tuple[Any, ...]
"""Cells of a row: str, int, bytes or None."""

_MODULUS = 2**256


def checksum(row: Row) -> int:
    """Return a checksum over the cells of one row."""
    return zlib.crc32(ascii(row).encode())


def digest(row: Row) -> int:
    """Return a row's contribution to the digest of its table."""
    return int.from_bytes(blake2b(ascii(row).encode(), digest_size=32).digest())


def updated_digest(total: int, *, added: int = 0, removed: int = 0) -> int:
    """Return the digest of a table after rows were added and removed.

    It is the sum of the rows' digests, so it can be updated row by row, in any order.
    """
    return (total + added - removed) % _MODULUS


def digest_text(total: int) -> str:
    """Return the digest of a table as 64 hexadecimal digits."""
    return f"{total:064x}"
