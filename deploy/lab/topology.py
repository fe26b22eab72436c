"""The farm's network.

    203.0.113.128/25 clients          203.0.113.0/25 far servers
    2001:db8:128::/64                 2001:db8:113::/64
      ┌────┐                            ┌────┐ ┌────┐
      │ c1 │ .201 (behind_router)       │ rs4│ │ rs5│ … .14, .15, …
      └─┬──┘                            └─┬──┘ └─┬──┘
        │ .129                            │ .1   │
      ┌─┴─────────────────────────────────┴──────┴─┐
      │ r1                                         │
      └─┬──────────────────────────────────────────┘
        │ .1
    ────┴──┬────────┬────────┬────────┬────────┬──────────┬───
         ┌─┴──┐  ┌──┴─┐   ┌──┴─┐   ┌──┴─┐   ┌──┴─┐     ┌──┴─┐
         │ lb1│  │ lb2│   │ rs1│   │ rs2│   │ rs3│     │ c1 │ .201 (on_link)
         └────┘  └────┘   └────┘   └────┘   └────┘     └────┘
          .10     .20      .11      .12      .13
    192.0.2.0/24 and 2001:db8:2::/64 the farm's link

The VIPs are 198.51.100.0/24 and 2001:db8:51::/64. Where they are **on-link**, c1 and r1 ask for
them with ARP on the farm's link. Where they are **routed**, c1 and r1 have a route through lb1.
An IPv6 address ends in the same number as the IPv4 one, read as hexadecimal: rs1 is 2001:db8:2::11.
The directors' and servers' default route is r1. Nothing is set up for LVS: no VIP, no tunnel, no
sysctl but forwarding on r1, so that what does that can be tested.
"""

from collections.abc import Mapping
from types import MappingProxyType

from deploy.lab.network import Host, Interface, Route, Topology

FARM, FAR, CLIENTS = "farm", "far", "clients"

_PREFIXES = {
    FARM: ("192.0.2.{}/24", "2001:db8:2::{}/64"),
    FAR: ("203.0.113.{}/25", "2001:db8:113::{}/64"),
    CLIENTS: ("203.0.113.{}/25", "2001:db8:128::{}/64"),
}
_VIPS = ("198.51.100.0/24", "2001:db8:51::/64")
_EVERYWHERE = ("0.0.0.0/0", "::/0")
_ROUTER = {FARM: 1, FAR: 1, CLIENTS: 129}
_FIRST_CLIENT = 201
_FORWARDING: Mapping[str, int] = MappingProxyType(
    {"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1}
)


def vip(number: int) -> str:
    """Name an IPv4 VIP, 1 to 254."""
    return f"198.51.100.{number}"


def vip6(number: int) -> str:
    """Name the IPv6 VIP that goes with `vip(number)`."""
    return f"2001:db8:51::{number}"


def farm_topology(
    *,
    directors: int = 1,
    real_servers: int = 3,
    far_real_servers: int = 0,
    client_on_link: bool = True,
    vips_on_link: bool = True,
    client_addresses: int = 1,
) -> Topology:
    """Declare the farm's network, as drawn above.

    Args:
        directors: lb1, lb2, …
        real_servers: On the farm's link: rs1, rs2, …, nine at most.
        far_real_servers: Behind r1, numbered after those on the link.
        client_on_link: Whether c1 is on the farm's link, or behind r1.
        vips_on_link: Whether the VIPs are asked for with ARP, or routed through lb1.
        client_addresses: How many c1 has, from .201 upwards, 50 at most.
    """
    client_link = FARM if client_on_link else CLIENTS
    client_numbers = range(_FIRST_CLIENT, _FIRST_CLIENT + client_addresses)
    to_the_vips = _to_the_vips(on_link=vips_on_link)
    servers = range(1, real_servers + 1)
    far_servers = range(real_servers + 1, real_servers + far_real_servers + 1)
    return Topology(
        (
            Host(
                "r1",
                tuple(_interface(link, number) for link, number in _ROUTER.items()),
                to_the_vips,
                _FORWARDING,
            ),
            Host(
                "c1",
                (_interface(client_link, *client_numbers),),
                (*_default(client_link), *(to_the_vips if client_on_link else ())),
            ),
            *(_host(f"lb{number}", FARM, 10 * number) for number in range(1, directors + 1)),
            *(_host(f"rs{number}", FARM, 10 + number) for number in servers),
            *(_host(f"rs{number}", FAR, 10 + number) for number in far_servers),
        )
    )


def _host(name: str, link: str, number: int) -> Host:
    return Host(name, (_interface(link, number),), _default(link))


def _interface(link: str, *numbers: int) -> Interface:
    return Interface(
        link, tuple(prefix.format(number) for number in numbers for prefix in _PREFIXES[link])
    )


def _default(link: str) -> tuple[Route, ...]:
    return tuple(
        Route(destination, via=gateway)
        for destination, gateway in zip(_EVERYWHERE, _addresses(link, _ROUTER[link]), strict=True)
    )


def _to_the_vips(*, on_link: bool) -> tuple[Route, ...]:
    if on_link:
        return tuple(Route(vips, link="eth0") for vips in _VIPS)
    director = _addresses(FARM, 10)
    return tuple(Route(vips, via=via) for vips, via in zip(_VIPS, director, strict=True))


def _addresses(link: str, number: int) -> tuple[str, ...]:
    return tuple(prefix.format(number).split("/")[0] for prefix in _PREFIXES[link])
