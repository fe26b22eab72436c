"""Folders with programs, and the processes that these start."""

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
    """Write a shell script."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def is_dead(pid: int) -> bool:
    """Tell whether a process was killed, even if it has not been reaped yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
