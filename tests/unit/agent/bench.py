"""A real server in memory that can be watched and killed at every change."""

import errno
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_interface

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.real_server import HostStatus, RealServer
from lvsctl.agent.record import Record
from lvsctl.errors import StoreError
from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.interface import (
    AddressKey,
    Config,
    HostChange,
    HostKey,
    HostState,
    LinkKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.messages.model import Assignment, Tunnel
from lvsctl.net import IPAddress
from lvsctl.results import Done, Failed, Result
from tests.support.hosts import WatchedHost

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RIP = IPv4Address("192.0.2.11")
VIPS = tuple(IPv4Address(f"198.51.100.{number}") for number in (10, 20, 30))
IPIP = Tunnel("ipip")
TUNL0, OWN = LinkKey("tunl0"), LinkKey("lvs-ipip")
NO_FALLBACK = FALLBACK_DEVICES.keys() - {"tunl0"}
"""What can be loaded in a namespace that gets no tunl0."""


def conf(device: str, parameter: str) -> SysctlKey:
    return SysctlKey(("net", "ipv4", "conf", device, parameter))


def vip_key(vip: IPAddress, link: str = "tunl0") -> AddressKey:
    return AddressKey(link, ip_interface(f"{vip}/32"))


def assigned(
    *vips: IPAddress, farm: str = "f1", tunnels: Sequence[Tunnel] = (IPIP,)
) -> Assignments:
    return Assignments((Assignment(farm, "rs2", vips, tuple(tunnels)),))


class Killed(BaseException):
    """The process ended here."""


class Bench:
    """A real server's host in memory, its disk, and the agent's part that writes it.

    Attributes:
        memory: The host itself, for other writers.
        record: What is on the disk.
        changes: Every change that was made.
        kill_after: Dies after so many changes; None for never.
        disk_is_full: Whether the record can be written.
    """

    def __init__(self, memory: MemoryHost | None = None, address: IPAddress = RIP) -> None:
        self._address = address
        self.memory = memory or MemoryHost([Hardware("eth0"), Hardware("eth1")])
        self.record = Record("this boot")
        self.changes: list[HostChange] = []
        self.kill_after: int | None = None
        self.disk_is_full = False
        self.now = START
        self.after_each: Callable[[HostChange], None] = lambda _: None
        self.server = self.started()

    def started(self) -> RealServer:
        """Start the agent's part anew, from what is on the disk."""
        self.server = RealServer(
            WatchedHost(self.memory, self._changed),
            self.record,
            self._keep,
            name="rs2",
            address=self._address,
            now=lambda: self.now,
        )
        return self.server

    def check(self, assignments: Assignments) -> HostStatus:
        """Run one check, five seconds after the one before."""
        self.now += timedelta(seconds=5)
        return self.server.check(assignments)

    def put(self, key: HostKey, config: Config | None) -> None:
        """Change the host as somebody else."""
        assert [Done()] == list(self.memory.apply([HostChange(key, config)]))

    def sysctl(self, device: str, parameter: str, value: int) -> None:
        """Write a sysctl as somebody else."""
        self.put(conf(device, parameter), SysctlConfig(str(value)))

    def refuse(self, key: HostKey) -> None:
        """Let the host refuse every change of a key from now on."""
        apply = self.memory.apply

        def refusing(changes: Sequence[HostChange]) -> Sequence[Result]:
            if any(change.key == key for change in changes):
                return [Failed(errno.EPERM)] * len(changes)
            return apply(changes)

        self.memory.apply = refusing  # type: ignore[method-assign]

    def value(self, device: str, parameter: str) -> int:
        """Read a sysctl."""
        key = conf(device, parameter)
        config = self.memory.observe([key])[key]
        assert isinstance(config, SysctlConfig)
        return int(config.value)

    def effective(self, device: str, parameter: str) -> int:
        """Read what counts for a device: the greater of its own value and that of ``all``."""
        return max(self.value("all", parameter), self.value(device, parameter))

    def dump(self) -> HostState:
        """Observe all that there is."""
        names = ("all", "default", *self.memory.links())
        parameters = ("accept_local", "arp_announce", "arp_ignore", "rp_filter")
        return self.memory.observe(
            [
                *map(LinkKey, self.memory.links()),
                *self.memory.addresses(),
                *(conf(name, parameter) for name in names for parameter in parameters),
            ]
        )

    def _changed(self, change: HostChange) -> None:
        self.changes.append(change)
        self.after_each(change)
        if self.kill_after is not None and len(self.changes) >= self.kill_after:
            raise Killed

    def _keep(self, record: Record) -> None:
        if self.disk_is_full:
            raise StoreError("found.json cannot be written: No space left on device")
        self.record = record
