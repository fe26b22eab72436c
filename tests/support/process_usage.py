"""What a process has taken of its host."""

import re
from pathlib import Path


def descriptors(pid: int) -> int:
    """Return how many file descriptors it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def peak_memory_bytes(pid: int) -> int:
    """Return the most memory that it has ever had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return 1024 * int(found[1])
