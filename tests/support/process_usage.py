"""What a process has taken of its host."""

import re
from pathlib import Path


def descriptors(pid: int) -> int:
    """Return how many file descriptors it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def memory_bytes(pid: int) -> int:
    """Return how much memory it has resident now."""
    return _status_bytes(pid, "VmRSS")


def peak_memory_bytes(pid: int) -> int:
    """Return the most memory that it has ever had resident."""
    return _status_bytes(pid, "VmHWM")


def _status_bytes(pid: int, field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return 1024 * int(found[1])
