"""Finds out which kernel modules are loaded, built in, or on disk."""

import os
from pathlib import Path

from lvsctl.doctor.facts import Modules

PROC = Path("/proc/modules")
FOLDER = Path("/lib/modules")


def read_modules(proc: Path = PROC, folder: Path = FOLDER) -> Modules:
    """Read /proc/modules and /lib/modules; loads nothing."""
    release = os.uname().release
    here = folder / release
    loaded = {line.split()[0] for line in _lines(proc)}
    built_in = _names(here / "modules.builtin")
    on_disk = _names(here / "modules.dep") if (here / "modules.dep").exists() else None
    return Modules(
        release,
        frozenset(loaded | built_in),
        None if on_disk is None else frozenset(on_disk | built_in),
    )


def _names(path: Path) -> set[str]:
    # kernel/net/ipv4/ipip.ko.xz: kernel/net/ipv4/ip_tunnel.ko.xz …
    files = (line.partition(":")[0] for line in _lines(path))
    return {file.rpartition("/")[2].partition(".")[0].replace("-", "_") for file in files}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
