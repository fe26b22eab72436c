"""Drops to another user with few capabilities, as systemd does for a daemon (capabilities(7))."""

import ctypes
import os
import struct
from collections.abc import Collection
from pathlib import Path

CAP_NET_ADMIN, CAP_NET_RAW = 12, 13
DAEMON_CAPABILITIES = frozenset({CAP_NET_ADMIN, CAP_NET_RAW})
"""Capabilities of director and agent, each under its own user."""

_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 4, 8, 23, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 38, 47, 2
_CAPABILITY_VERSION_3 = 0x20080522  # capget(2)

_libc = ctypes.CDLL(None, use_errno=True)


def act_for(state_dir: Path) -> None:
    """If root, become the user of the daemon that owns a state folder.

    The daemon could not open files that root writes there, and a compromised daemon could have
    root write elsewhere through links in its folder.
    """
    if os.geteuid() == 0 and state_dir.is_dir():
        owner = state_dir.stat()
        if owner.st_uid != 0:
            become(owner.st_uid, owner.st_gid, DAEMON_CAPABILITIES)


def become(user: int, group: int, capabilities: Collection[int] = ()) -> None:
    """Become a user and group with these capabilities, and no way to gain more.

    Like AmbientCapabilities=, they are kept across exec; the bounding set has no others. Must be
    called as root in a single-threaded process.
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
    _prctl(_PR_SET_DUMPABLE, 1)  # reset by the change of user


def _prctl(option: int, *arguments: int) -> None:
    padded = [*arguments, 0, 0, 0, 0][:4]
    if _libc.prctl(option, *map(ctypes.c_ulong, padded)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
