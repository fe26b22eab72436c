"""A lab's node as a real server that the agent's own code sets up, without its loop."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from deploy.lab.network import Network
from deploy.lab.node import Node
from lvsctl.agent.assignments import Assignments
from lvsctl.agent.real_server import RealServer
from lvsctl.agent.restored_state import restore_state
from lvsctl.agent.state_dir import StateDir
from lvsctl.host.boot import boot_id
from lvsctl.host.interface import HostChange
from lvsctl.host.linux import LinuxHost
from lvsctl.messages.model import Assignment, Tunnel
from lvsctl.results import Failed, Result, Skipped

IPIP = Tunnel("ipip")


def assigned(
    name: str, *vips: str, tunnels: Sequence[Tunnel] = (IPIP,), mtu: int | None = None
) -> Assignments:
    """Return what a director would assign."""
    addresses = tuple(map(ip_address, vips))
    return Assignments((Assignment("f1", name, addresses, tuple(tunnels), mtu),))


class SteppedHost(LinuxHost):
    """A Linux host that calls before and after every single change."""

    def __init__(
        self,
        before_each: Callable[[HostChange], None] = lambda _: None,
        after_each: Callable[[HostChange], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._before_each = before_each
        self._after_each = after_each

    def apply(self, changes: Sequence[HostChange]) -> Sequence[Result]:
        results: list[Result] = []
        for change in changes:
            self._before_each(change)
            results += super().apply([change])
            if isinstance(results[-1], Failed):
                return results + [Skipped(str(change))] * (len(changes) - len(results))
            self._after_each(change)
        return results


def dies_before(number: int) -> Callable[[HostChange], None]:
    """Return what kills this process, as kill -9 does, before its change of that number."""
    left = iter(range(number))

    def maybe(_: HostChange) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    return maybe


@contextlib.contextmanager
def real_server(
    network: Network,
    name: str,
    state: Path,
    make_host: Callable[[], LinuxHost] = LinuxHost,
    *,
    family: Literal[4, 6] = 4,
) -> Iterator[RealServer]:
    """Be on a node with the agent's part that writes its host, from what is on its disk.

    Args:
        network: The hosts.
        name: The real server's.
        state: Its agent's state folder.
        make_host: Opens the host, on the node.
        family: Of the real server's address.
    """
    with network[name].enter():
        disk = StateDir(state)
        host = make_host()
        try:
            yield RealServer(
                host,
                restore_state(disk, boot_id()).record,
                disk.save_record,
                name=name,
                address=ip_address(network.address(name, family)),
                now=lambda: datetime.now(UTC),
            )
        finally:
            host.close()


ALL_SYSCTLS = ("/proc/sys/net/ipv4", "/proc/sys/net/ipv6")
IPV4_CONF = ("/proc/sys/net/ipv4/conf",)


_RULES_AND_ROUTES = "printf 'rule\\nroute show table all\\n' | ip {} -batch -"
_SHOWN = {
    "-d -o link": "ip -d -o link",
    "-o address": "ip -o address",
    "-4 rule, route": _RULES_AND_ROUTES.format("-4"),
    "-6 rule, route": _RULES_AND_ROUTES.format("-6"),
}
_BORDER = "----"


def dump(node: Node, trees: Sequence[str] = IPV4_CONF) -> dict[str, str]:
    """Return a host's network configuration: links, addresses, rules, routes, sysctls.

    What the first time up leaves behind on a tunnel device for ever is left out: another empty
    queue, and IPv6's own parameters for it, which did not exist before.

    Args:
        node: The host.
        trees: Where sysctls are looked for; a second in the guest for all of them.
    """
    # One program that starts the others: to fork this process takes longer than they take.
    script = f"; echo {_BORDER}; ".join(_SHOWN.values())
    answers = node.run(["sh", "-c", script]).stdout.split(_BORDER)
    shown = dict(zip(_SHOWN, answers, strict=True))
    links = shown["-d -o link"].replace("qdisc noqueue", "qdisc noop")
    shown["-d -o link"] = links.replace(" addrgenmode eui64", "")
    return shown | sysctls(node, trees)


def sysctls(node: Node, trees: Sequence[str]) -> dict[str, str]:
    """Return every readable sysctl, but for IPv6 on tunl0."""
    with node.enter():
        found = {}
        for top in trees:
            for folder, _, names in os.walk(top):
                if folder in {f"/proc/sys/net/ipv6/{part}/tunl0" for part in ("conf", "neigh")}:
                    continue
                for name in names:
                    path = Path(folder, name)
                    with contextlib.suppress(OSError):
                        found[str(path)] = path.read_text()
        return found


def differences(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return what is not the same in two dumps."""
    return {
        what: (before.get(what, ""), after.get(what, ""))
        for what in before.keys() | after.keys()
        if before.get(what) != after.get(what)
    }
