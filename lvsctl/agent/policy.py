"""What an agent refuses of an assignment, whoever asks for it. Pure.

A director may be hostile, and a disk may lie. An assignment is screened before it is kept and
again when it is read: what no host can do is left out and reported with its cure, and the rest is
carried out. Whether an address is taken follows from the host as it is now, so that is judged in
every check, and only of VIPs that are not served yet: what a name server or a router says must
not take a VIP out of service.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.faults import Fault, Place
from lvsctl.errors import InvalidInput, Problem
from lvsctl.host.interface import AddressKey
from lvsctl.messages.model import Assignment, Tunnel, TunnelEnd
from lvsctl.net import IPAddress
from lvsctl.unicast import broadcast_addresses, why_not_unicast

T = TypeVar("T")

MOST_VIPS = 1024
"""On one host, of all farms."""
MOST_TUNNELS = 16
"""Types of tunnel, of one farm."""
MOST_TUNNEL_ENDS = 250
"""Of one farm."""
MOST_FARMS = 8
"""That have something on one host at once."""
MOST_ADDRESSES = 16
"""Inside one point-to-point tunnel, at each end."""
MOST_FARM_ID = 100
MOST_NAME = 63
MOST_TOLD = 20
"""Refusals that are reported one by one."""

_LEAST_MTU, _MOST_MTU = 576, 65535
_MOST_PORT = 65535
_MOST_TYPE = 32


@dataclass(frozen=True, slots=True)
class Screened:
    """An assignment without what no host can do.

    Attributes:
        assignment: What is carried out.
        refusals: What was left out.
    """

    assignment: Assignment
    refusals: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """What the addresses of a host and of its network leave for VIPs.

    Attributes:
        address: The real server's own (RIP).
        taken: Addresses that are somebody's already, and whose.
        served: VIPs that the agent has put on this host.
    """

    address: IPAddress
    taken: Mapping[IPAddress, str]
    served: frozenset[IPAddress]


def refuse_unidentified(new: Assignment, agent: str, held: Assignments) -> None:
    """Refuse an assignment as a whole that cannot be told from others.

    Args:
        new: What a director says.
        agent: This agent's name.
        held: What holds so far.

    Raises:
        InvalidInput: It is for another agent, names no farm, or is of one farm too many.
    """
    if new.agent != agent:
        raise InvalidInput([Problem("/agent", f"{_quoted(new.agent)} is not {agent!r}")])
    if not 0 < len(new.farm_id) <= MOST_FARM_ID or not new.farm_id.isprintable():
        detail = f"{_quoted(new.farm_id)} is no farm's id"
        raise InvalidInput([Problem("/farm_id", detail, f"1 to {MOST_FARM_ID} characters")])
    farms = {farm.farm_id for farm in held.farms}
    if new.farm_id not in farms and len(farms) >= MOST_FARMS:
        detail = f"{len(farms)} other farms have something on this host already"
        cure = "lvsctl agent leave, and start the agent again"
        raise InvalidInput([Problem("/farm_id", detail, cure)])


def screened(new: Assignment, others: Iterable[Assignment], place: Place) -> Screened:
    """Leave out of an assignment what no host can do.

    Args:
        new: What a director or the disk says.
        others: What other farms assigned; their VIPs count too.
        place: This host.
    """
    elsewhere = {vip for other in others for vip in other.vips}.difference(new.vips)
    vips, no_vips = _admitted(
        new.vips,
        MOST_VIPS - len(elsewhere),
        lambda vip: _vip_refusal(vip, place),
        lambda count: _too_many("VIPs", count, MOST_VIPS, place),
    )
    tunnels, no_tunnels = _admitted(
        new.tunnels,
        MOST_TUNNELS,
        lambda tunnel: _tunnel_refusal(tunnel, place),
        lambda count: _too_many("types of tunnel", count, MOST_TUNNELS, place),
    )
    ends, no_ends = _admitted(
        new.tunnel_ends,
        MOST_TUNNEL_ENDS,
        lambda end: _end_refusal(end, place),
        lambda count: _too_many("point-to-point tunnels", count, MOST_TUNNEL_ENDS, place),
    )
    mtu, no_mtu = _admitted_mtu(new.mtu, place)
    assignment = replace(new, vips=vips, tunnels=tunnels, tunnel_ends=ends, mtu=mtu)
    refusals = (*no_vips, *no_tunnels, *no_ends, *no_mtu)
    return Screened(assignment, tuple(_summed_up(refusals, place)))


def screened_whole(held: Assignments, place: Place) -> tuple[Assignments, tuple[Fault, ...]]:
    """Leave out of all farms' assignments what no host can do."""
    farms: list[Assignment] = []
    refusals: list[Fault] = []
    for farm in held.farms[-MOST_FARMS:]:
        result = screened(farm, farms, place)
        farms.append(result.assignment)
        refusals += result.refusals
    return Assignments(tuple(farms)), tuple(_summed_up(refusals, place))


def taken_addresses(
    present: Collection[AddressKey],
    gateways: Iterable[tuple[str, IPAddress]],
    directors: Iterable[IPAddress],
) -> Mapping[IPAddress, str]:
    """Return the addresses that no VIP may be, each with whose it is.

    An address that stands alone (/32, /128) may well be a VIP that somebody put there.

    Args:
        present: Every address of this host.
        gateways: Device and next hop of the default routes.
        directors: Addresses of the directors that this agent asks.
    """
    own = [
        (key.link, key.address)
        for key in present
        if key.link != "lo" and key.address.network.num_addresses > 1
    ]
    return {
        **dict(broadcast_addresses(own)),
        **{address.ip: f"this host ({link})" for link, address in own},
        **{address: f"the gateway on {link}" for link, address in gateways},
        **dict.fromkeys(directors, "a director of this agent"),
    }


def unfit_vips(
    vips: Iterable[IPAddress], host: HostAddresses, place: Place
) -> Mapping[IPAddress, Fault]:
    """Return the VIPs that this host cannot serve because they are somebody's own address."""
    found: dict[IPAddress, Fault] = {}
    for vip in vips:
        if vip == host.address:
            whose = "this host, to which directors send tunnelled packets"
        elif vip in host.taken and vip not in host.served:
            whose = host.taken[vip]
        else:
            continue
        found[vip] = Fault(
            str(vip),
            f"{place.name} does not serve {vip}: it is the address of {whose}",
            "give the service a VIP of its own",
        )
    return found


# What no host can do


def _vip_refusal(vip: IPAddress, place: Place) -> Fault | None:
    nature = why_not_unicast(vip)
    if not nature:
        return None
    return Fault(
        str(vip),
        f"{place.name} does not serve {vip}: it is {nature}",
        "give the service a unicast address that hosts can route to",
    )


def _tunnel_refusal(tunnel: Tunnel, place: Place) -> Fault | None:
    named = 0 < len(tunnel.type) <= _MOST_TYPE and tunnel.type.isprintable()
    least, most = (1, _MOST_PORT) if tunnel.type == "gue" else (0, 0)
    if named and (least <= tunnel.port <= most or tunnel.type not in {"ipip", "gre", "gue"}):
        return None
    return Fault(
        f"tunnel {_quoted(tunnel.type)}",
        f"{place.name} does not accept a tunnel of type {_quoted(tunnel.type)} at port "
        f"{tunnel.port}: there is none",
        "set the pool's tunnel to ipip, gre, or gue with a port from 1 to 65535",
    )


def _end_refusal(end: TunnelEnd, place: Place) -> Fault | None:
    if not 0 < len(end.tunnel) <= MOST_NAME or not end.tunnel.isprintable():
        why = f"its name is not 1 to {MOST_NAME} printable characters"
    elif max(len(end.addresses), len(end.peers)) > MOST_ADDRESSES:
        why = f"it has more than {MOST_ADDRESSES} addresses at one end"
    else:
        return None
    return Fault(
        f"tunnel {_quoted(end.tunnel)}",
        f"{place.name} does not bring up tunnel {_quoted(end.tunnel)}: {why}",
        "declare it anew: lvsctl apply, or PUT /v1/tunnels/NAME",
    )


def _admitted_mtu(mtu: int | None, place: Place) -> tuple[int | None, Sequence[Fault]]:
    if mtu is None or _LEAST_MTU <= mtu <= _MOST_MTU:
        return mtu, ()
    fault = Fault(
        "mtu",
        f"{place.name} announces no MSS for a path MTU of {mtu}: no network has that",
        f"set the tunnel's mtu of the pool to a value from {_LEAST_MTU} to {_MOST_MTU}",
    )
    return None, [fault]


def _too_many(what: str, count: int, most: int, place: Place) -> Fault:
    return Fault(
        what,
        f"{place.name} leaves out {count} {what}: an agent takes {most} at most",
        "spread them over more real servers",
    )


def _admitted(
    members: Iterable[T],
    most: int,
    refusal: Callable[[T], Fault | None],
    too_many: Callable[[int], Fault],
) -> tuple[tuple[T, ...], Sequence[Fault]]:
    """Return the members that can be, each once and no more than ``most``, and the refusals."""
    judged = {member: refusal(member) for member in dict.fromkeys(members)}
    fit = [member for member, fault in judged.items() if fault is None]
    faults = [fault for fault in judged.values() if fault is not None]
    rest = len(fit) - max(most, 0)
    return tuple(fit[: max(most, 0)]), [*faults, *([too_many(rest)] if rest > 0 else [])]


def _summed_up(faults: Sequence[Fault], place: Place) -> Iterator[Fault]:
    """Yield the first refusals, and how many more there are: a report must stay small."""
    yield from faults[:MOST_TOLD]
    if len(faults) > MOST_TOLD:
        yield Fault(
            "assignment",
            f"{place.name} refuses {len(faults) - MOST_TOLD} more parts of its assignment",
            "correct those that are listed first; the next ones are listed then",
        )


def _quoted(text: str) -> str:
    shown = repr(text[: MOST_NAME + 1])
    return shown if len(text) <= MOST_NAME else f"{shown[:-1]}…'"
