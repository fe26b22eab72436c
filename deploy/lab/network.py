"""A network of nodes, as declared by a topology: links are bridges, hosts are plugged into them."""

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from types import TracebackType
from typing import Self

from pyroute2 import IPRoute

from deploy.lab.node import Node
from deploy.lab.switch import Switch

SWITCH = "switch"  # the node that holds the bridges; no traffic begins or ends there


@dataclass(frozen=True, slots=True)
class Route:
    """A route to a prefix: through the gateway `via`, or without one by asking on the link."""

    destination: str
    via: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """A host's network device: the link that it is plugged into, and its addresses with prefix."""

    link: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """A host: its interfaces are eth0, eth1, … in this order.

    Attributes:
        name: Its host name, and that of its node.
        interfaces: What it is plugged into.
        routes: Beside those that come with the addresses.
        sysctls: What differs from the kernel's defaults.
    """

    name: str
    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topology:
    """Hosts; the links are those that their interfaces name."""

    hosts: tuple[Host, ...]

    @property
    def links(self) -> tuple[str, ...]:
        """Each link's name, once."""
        names = (interface.link for host in self.hosts for interface in host.interfaces)
        return tuple(dict.fromkeys(names))

    def address(self, host: str, version: int = 4) -> str:
        """Name a host's first address, of IPv4 or of IPv6."""
        return self.addresses(host, version)[0]

    def addresses(self, host: str, version: int = 4) -> list[str]:
        """List a host's addresses, of IPv4 or of IPv6."""
        named = next(candidate for candidate in self.hosts if candidate.name == host)
        addresses = (
            ip_interface(address)
            for interface in named.interfaces
            for address in interface.addresses
        )
        return [str(address.ip) for address in addresses if address.version == version]


class Network:
    """Nodes that were built from a topology. Leaving the context removes them all.

    Args:
        topology: What to build.
        logs: The folder for the logs of the nodes' processes.
        prefix: Of their namespaces' names, where other networks may come while this one stands.
    """

    def __init__(self, topology: Topology, logs: Path, prefix: str = "") -> None:
        self.topology = topology
        self.logs = logs
        self._prefix = prefix
        self.nodes: dict[str, Node] = {}
        self._removal = contextlib.ExitStack()
        with contextlib.ExitStack() as undone:
            undone.push(self._removal)
            self._switch = Switch(SWITCH, self.logs, self._prefix)
            self._removal.callback(self._switch.remove)
            for link in topology.links:
                self._switch.add_bridge(link)
            for host in topology.hosts:
                self._add_host(host)
            undone.pop_all()

    def __getitem__(self, name: str) -> Node:
        """Return the node of a host."""
        return self.nodes[name]

    def address(self, host: str, version: int = 4) -> str:
        """Name a host's first address, of IPv4 or of IPv6."""
        return self.topology.address(host, version)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    def plug_in_device(self, device: str, link: str) -> None:
        """Plug a device of this process's namespace into a link, as a way in from outside."""
        with IPRoute() as here:
            here.link(
                "set",
                index=socket.if_nametoindex(device),
                net_ns_fd=self._switch.namespace_fd,
            )
        with self._switch.enter():
            index, master = socket.if_nametoindex(device), socket.if_nametoindex(link)
        self._switch.netlink.link("set", index=index, master=master, state="up")

    def remove(self) -> None:
        """Kill what runs in the nodes and remove them."""
        self._removal.close()

    def _node(self, name: str) -> Node:
        node = Node(name, self.logs, self._prefix)
        self._removal.callback(node.remove)
        return node

    def _add_host(self, host: Host) -> None:
        node = self.nodes[host.name] = self._node(host.name)
        for sysctl, value in host.sysctls.items():
            node.write_sysctl(sysctl, value)
        for number, interface in enumerate(host.interfaces):
            self._plug_in(node, f"eth{number}", interface)
        for route in host.routes:
            node.add_route(route.destination, via=route.via, link=route.link)

    def _plug_in(self, node: Node, device: str, interface: Interface) -> None:
        self._switch.plug_in(node, device, interface.link)
        for address in interface.addresses:
            node.add_address(device, address)
