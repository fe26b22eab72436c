"""Being root without root's way past the modes of files, as a daemon with few capabilities is."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION_3 = 0x20080522  # capget(2)
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_FOWNER = 1, 2, 3
_PAST_MODES = 1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH | 1 << _CAP_FOWNER

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def modes_count() -> Iterator[None]:
    """Have the modes of files hold for this thread too."""
    before = _capabilities()
    effective, *others = struct.unpack("6I", before)
    _set_capabilities(struct.pack("6I", effective & ~_PAST_MODES, *others))
    try:
        yield
    finally:
        _set_capabilities(before)


def _capabilities() -> bytes:
    data = ctypes.create_string_buffer(24)
    _check(_libc.capget(struct.pack("Ii", _VERSION_3, 0), data))
    return data.raw


def _set_capabilities(data: bytes) -> None:
    _check(_libc.capset(struct.pack("Ii", _VERSION_3, 0), data))


def _check(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
