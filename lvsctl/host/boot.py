"""Which running kernel, and which network namespace of it, something was seen in."""

import socket
from pathlib import Path

# Not in Python's socket module; include/uapi/asm-generic/socket.h, since Linux 5.14.
_SO_NETNS_COOKIE = 71
_COOKIE_BYTES = 8


def boot_id(
    kernel: Path = Path("/proc/sys/kernel/random/boot_id"),
    namespace: Path = Path("/proc/thread-self/ns/net"),
) -> str:
    """Return an identity that changes with every boot and differs for every network namespace.

    What was recorded under another identity says nothing about this kernel: a container that
    starts again keeps the kernel's boot, but has a new network namespace.
    """
    return f"{kernel.read_text().strip()}/{_namespace_id(namespace)}"


def _namespace_id(namespace: Path) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        try:
            cookie = own.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _COOKIE_BYTES)
        except OSError:
            # Older kernels have only the inode, which a later namespace may get again.
            return str(namespace.stat().st_ino)
    return str(int.from_bytes(cookie, "little"))
