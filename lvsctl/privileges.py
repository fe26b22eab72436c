"""Being another user with few capabilities, as systemd makes a daemon (capabilities(7))."""

import ctypes
import os
import struct
from collections.abc import Collection
from pathlib import Path

CAP_NET_ADMIN, CAP_NET_RAW = 12, 13
DAEMON_CAPABILITIES = frozenset({CAP_NET_ADMIN, CAP_NET_RAW})
"""What director and agent need, both as a user of its own."""

_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 4, 8, 23, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 38, 47, 2
_CAPABILITY_VERSION_3 = 0x20080522  # capget(2)

_libc = ctypes.CDLL(None, use_errno=True)


def act_for(state_dir: Path) -> None:
    """Have root act as the user of the daemon that has a state folder; nobody else can.

    What root writes there the daemon could not open, and a daemon that was taken over could have
    root write elsewhere, through links in its folder.
    """
    if os.geteuid() == 0 and state_dir.is_dir():
        owner = state_dir.stat()
        if owner.st_uid != 0:
            become(owner.st_uid, owner.st_gid, DAEMON_CAPABILITIES)


def become(user: int, group: int, capabilities: Collection[int] = ()) -> None:
    """Be a user and a group, with these capabilities and no way to more.

    They are kept over an exec, as with AmbientCapabilities=; the bounding set has no others. To be
    called as root, in a process with one thread.
    """
    _prctl(_PR_SET_KEEPCAPS, 1)
    capability = 0
    while (bound := _libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0)) >= 0:
        if bound and capability not in capabilities:
            _prctl(_PR_CAPBSET_DROP, capability)
        capability += 1
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    low = sum(1 << each for each in capabilities)
    data = struct.pack("6I", low, low, low, 0, 0, 0)  # effective, permitted, inheritable
    if _libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    for each in capabilities:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, each)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 1)  # as after an exec


def _prctl(option: int, *arguments: int) -> None:
    padded = [*arguments, 0, 0, 0, 0][:4]
    if _libc.prctl(option, *map(ctypes.c_ulong, padded)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
