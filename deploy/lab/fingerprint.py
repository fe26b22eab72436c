"""How everything stands that tests share, to be compared after each of them."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.poll import poll

Fingerprint = Mapping[str, str]
"""What there is, by what it is of: `lb1 routes`, `lb1 net/ipv4/conf/all/rp_filter`, `revision`."""

_SYSCTLS = ("ipv4/conf", "ipv4/vs", "ipv6/conf")
_TABLE = Path("/proc/thread-self/net/ip_vs")
_SETTLED_S = 1.5
"""The kernel tells of links that come up once a second at most (net/core/link_watch.c)."""


class Shared:
    """A network that tests share, and how it stood before the present one.

    Args:
        network: What they share.
        more: Returns what else must be as before, such as the revision of a farm.
    """

    def __init__(self, network: Network, more: Callable[[], Fingerprint]) -> None:
        self._network = network
        self._more = more
        self._before = self._settled()

    def changes(self) -> dict[str, tuple[str, str]]:
        """Return what is not as it was when this was called last, with what it was and is."""
        before, self._before = self._before, self._look()
        return differences(before, self._before)

    def _settled(self) -> Fingerprint:
        """Wait until nothing changes by itself any more, such as links that come up."""
        seen, since_s = self._look(), time.monotonic()

        def is_settled() -> bool:
            nonlocal seen, since_s
            now = self._look()
            if now != seen:
                seen, since_s = now, time.monotonic()
            return time.monotonic() > since_s + _SETTLED_S

        poll(is_settled, 20 * _SETTLED_S)
        return seen

    def _look(self) -> Fingerprint:
        found = dict(self._more())
        for name, node in self._network.nodes.items():
            found |= {f"{name} {what}": shown for what, shown in fingerprint(node).items()}
        return found


def fingerprint(node: Node) -> Fingerprint:
    """Return a node's IPVS table, links, addresses, rules, routes, sysctls and processes."""
    processes = sorted(str(process) for process in node.processes if process.is_alive())
    found = {**node.configuration(), "processes": "\n".join(processes)}
    with node.enter():
        found["IPVS table"] = _table()
        for tree in _SYSCTLS:
            found |= _sysctls(tree)
    return found


def differences(before: Fingerprint, after: Fingerprint) -> dict[str, tuple[str, str]]:
    """Return what is not the same in two fingerprints, with what it was and is."""
    return {
        what: (before.get(what, ""), after.get(what, ""))
        for what in sorted(before.keys() | after.keys())
        if before.get(what) != after.get(what)
    }


def _table() -> str:
    """Return the kernel's virtual services and destinations without their connections."""
    with contextlib.suppress(FileNotFoundError):
        lines = _TABLE.read_text().splitlines()[3:]
        kept = [line.split()[:4] if "->" in line else line.split() for line in lines]
        return "\n".join(" ".join(words) for words in kept)
    return ""


def _sysctls(tree: str) -> dict[str, str]:
    found = {}
    for folder, _, names in os.walk(f"/proc/sys/net/{tree}"):
        for name in names:
            path = f"{folder}/{name}"
            with contextlib.suppress(OSError):  # some can only be written
                found[path.removeprefix("/proc/sys/")] = _read(path)
    return found


def _read(path: str) -> str:
    # Three system calls, of which a Python file makes seven; there are hundreds of sysctls.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 4096).decode().strip()
    finally:
        os.close(descriptor)
