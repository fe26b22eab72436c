"""Folders with programs, and processes that came of them."""

import os
from ipaddress import ip_address
from pathlib import Path

from lvsctl.health.target import Target

ROOT = os.geteuid() == 0
NOBODY = 65534 if ROOT else None
TARGET = Target(
    ip_address("192.0.2.11"), 80, vip=ip_address("198.51.100.10"), server=ip_address("192.0.2.11")
)


def write(folder: Path, script: str, name: str = "check") -> None:
    """Write a program of the shell's."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def is_dead(pid: int) -> bool:
    """Tell whether a process was killed, though perhaps nobody has reaped it yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
