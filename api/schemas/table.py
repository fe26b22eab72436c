"""The kernel's IPVS table with its counters."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict


class TrafficDocument(TypedDict):
    """Totals since creation, and the kernel's estimated rates."""

    connections: int
    in_packets: int
    out_packets: int
    in_bytes: int
    out_bytes: int
    connections_per_s: int
    in_packets_per_s: int
    out_packets_per_s: int
    in_bytes_per_s: int
    out_bytes_per_s: int


class KernelPersistence(TypedDict):
    """Clients from the same network go to the same destination."""

    timeout: str
    netmask: int
    engine: str


class KernelDestination(TypedDict):
    """A destination."""

    address: str
    port: int
    weight: int
    forwarding: Annotated[str, Field(examples=["tunnel"])]
    tunnel: Annotated[str | None, Field(description="null with other methods.", examples=["ipip"])]
    upper_threshold: int
    lower_threshold: int
    active_connections: int
    inactive_connections: int
    persistent_connections: int
    traffic: TrafficDocument


class KernelService(TypedDict):
    """A virtual service: with protocol, vip and port, or with a fwmark."""

    key: Annotated[str, Field(examples=["tcp 198.51.100.10:80"])]
    protocol: NotRequired[str]
    vip: NotRequired[str]
    port: NotRequired[int]
    fwmark: NotRequired[int]
    family: Annotated[str, Field(examples=["IPv4"])]
    service: Annotated[str | None, Field(description="The farm's service; null: not lvsctl's.")]
    scheduler: str
    flags: list[str]
    persistence: KernelPersistence | None
    traffic: TrafficDocument
    destinations: list[KernelDestination]


class KernelTimeouts(TypedDict):
    """Idle timeouts of connections."""

    tcp: str
    tcp_fin: str
    udp: str


class Table(TypedDict):
    """The IPVS table of this network namespace."""

    services: list[KernelService]
    probes: Annotated[
        list[KernelService],
        Field(description="lvsctl's own services, which send health checks to one server each."),
    ]
    timeouts: KernelTimeouts
