"""Which parts of an assignment an agent refuses. Pure.

A director may be hostile, and a disk may lie. An assignment is screened before it is saved and
again when it is loaded: what no host can do is left out and reported with its cure, and the rest
is carried out. Whether an address is in use follows from the host as it is now, so that is judged
in every check, and only for VIPs that are not served yet: what a name server or a router says
must not take a VIP out of service.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.faults import Fault, FaultLocation
from lvsctl.errors import InvalidInput, Problem
from lvsctl.host.interface import AddressKey
from lvsctl.messages.model import Assignment, Tunnel, TunnelEnd
from lvsctl.net import IPAddress
from lvsctl.reasons import hosts as reasons
from lvsctl.unicast import broadcast_addresses, why_not_unicast

T = TypeVar("T")

MAX_VIPS = 1024
"""On one host, over all farms."""
MAX_TUNNELS = 16
"""Tunnel types, per farm."""
MAX_TUNNEL_ENDS = 250
"""Per farm."""
MAX_FARMS = 8
"""With something on one host at the same time."""
MAX_ADDRESSES = 16
"""Inside one point-to-point tunnel, at each end."""
MAX_FARM_ID = 100
MAX_NAME = 63
MAX_REPORTED = 20
"""Refusals that are reported individually."""

_MIN_MTU, _MAX_MTU = 576, 65535
_MAX_PORT = 65535
_MAX_TYPE = 32


@dataclass(frozen=True, slots=True)
class ScreenedAssignment:
    """An assignment without what no host can do.

    Attributes:
        assignment: The parts to carry out.
        refusals: The parts left out, and why.
    """

    assignment: Assignment
    refusals: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """The addresses of a host and its network, none of which may be a VIP.

    Attributes:
        address: The real server's own (RIP).
        in_use: Addresses that are in use, each with its owner.
        served: VIPs that the agent has added to this host.
    """

    address: IPAddress
    in_use: Mapping[IPAddress, str]
    served: frozenset[IPAddress]


def check_identity(new: Assignment, agent: str, current: Assignments) -> None:
    """Refuse an assignment as a whole that is not for this agent or of no valid farm.

    Args:
        new: A director's assignment.
        agent: This agent's name.
        current: The assignments in effect.

    Raises:
        InvalidInput: It is for another agent, names no farm, or would be one farm too many.
    """
    if new.agent != agent:
        raise InvalidInput([Problem("/agent", f"{_quote(new.agent)} is not {agent!r}")])
    if not 0 < len(new.farm_id) <= MAX_FARM_ID or not new.farm_id.isprintable():
        detail = f"{_quote(new.farm_id)} is not a valid farm id"
        raise InvalidInput([Problem("/farm_id", detail, f"1 to {MAX_FARM_ID} characters")])
    farms = {farm.farm_id for farm in current.farms}
    if new.farm_id not in farms and len(farms) >= MAX_FARMS:
        detail = f"{len(farms)} other farms have something on this host already"
        cure = "lvsctl agent leave, and start the agent again"
        raise InvalidInput([Problem("/farm_id", detail, cure)])


def screen(
    new: Assignment, others: Iterable[Assignment], location: FaultLocation
) -> ScreenedAssignment:
    """Leave out of an assignment what no host can do.

    Args:
        new: From a director or the disk.
        others: Those of other farms; their VIPs count towards the limit.
        location: This host.
    """
    elsewhere = {vip for other in others for vip in other.vips}.difference(new.vips)
    vips, no_vips = _admit(
        new.vips,
        MAX_VIPS - len(elsewhere),
        lambda vip: _vip_refusal(vip, location),
        lambda count: _too_many("VIPs", count, MAX_VIPS, location),
    )
    tunnels, no_tunnels = _admit(
        new.tunnels,
        MAX_TUNNELS,
        lambda tunnel: _tunnel_refusal(tunnel, location),
        lambda count: _too_many("types of tunnel", count, MAX_TUNNELS, location),
    )
    ends, no_ends = _admit(
        new.tunnel_ends,
        MAX_TUNNEL_ENDS,
        lambda end: _end_refusal(end, location),
        lambda count: _too_many("point-to-point tunnels", count, MAX_TUNNEL_ENDS, location),
    )
    mtu, no_mtu = _admit_mtu(new.mtu, location)
    assignment = replace(new, vips=vips, tunnels=tunnels, tunnel_ends=ends, mtu=mtu)
    refusals = (*no_vips, *no_tunnels, *no_ends, *no_mtu)
    return ScreenedAssignment(assignment, tuple(_summarize(refusals, location)))


def screen_all(
    current: Assignments, location: FaultLocation
) -> tuple[Assignments, tuple[Fault, ...]]:
    """Leave out of all farms' assignments what no host can do."""
    farms: list[Assignment] = []
    refusals: list[Fault] = []
    for farm in current.farms[-MAX_FARMS:]:
        result = screen(farm, farms, location)
        farms.append(result.assignment)
        refusals += result.refusals
    return Assignments(tuple(farms)), tuple(_summarize(refusals, location))


def addresses_in_use(
    present: Collection[AddressKey],
    gateways: Iterable[tuple[str, IPAddress]],
    directors: Iterable[IPAddress],
) -> Mapping[IPAddress, str]:
    """Return the addresses that no VIP may have, each with its owner.

    A host address (/32, /128) is not among them: it may be a VIP that somebody else added.

    Args:
        present: Every address of this host.
        gateways: Device and next hop of the default routes.
        directors: Addresses of this agent's directors.
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


def conflicting_vips(
    vips: Iterable[IPAddress], host: HostAddresses, location: FaultLocation
) -> Mapping[IPAddress, Fault]:
    """Return the VIPs that this host must not serve because they are in use as other addresses."""
    found: dict[IPAddress, Fault] = {}
    for vip in vips:
        if vip == host.address:
            whose = "this host, to which directors send tunnelled packets"
        elif vip in host.in_use and vip not in host.served:
            whose = host.in_use[vip]
        else:
            continue
        found[vip] = Fault(
            reasons.VIP_IN_USE(vip, host=location.name, owner=whose),
            "give the service a VIP of its own",
        )
    return found


# Limits and rules for each part


def _vip_refusal(vip: IPAddress, location: FaultLocation) -> Fault | None:
    nature = why_not_unicast(vip)
    if not nature:
        return None
    return Fault(
        reasons.VIP_NOT_UNICAST(vip, host=location.name, nature=nature),
        "give the service a unicast address that hosts can route to",
    )


def _tunnel_refusal(tunnel: Tunnel, location: FaultLocation) -> Fault | None:
    named = 0 < len(tunnel.type) <= _MAX_TYPE and tunnel.type.isprintable()
    least, most = (1, _MAX_PORT) if tunnel.type == "gue" else (0, 0)
    if named and (least <= tunnel.port <= most or tunnel.type not in {"ipip", "gre", "gue"}):
        return None
    return Fault(
        reasons.TUNNEL_UNKNOWN(
            f"tunnel {_quote(tunnel.type)}",
            host=location.name,
            type=_quote(tunnel.type),
            port=tunnel.port,
        ),
        "set the pool's tunnel to ipip, gre, or gue with a port from 1 to 65535",
    )


def _end_refusal(end: TunnelEnd, location: FaultLocation) -> Fault | None:
    if not 0 < len(end.tunnel) <= MAX_NAME or not end.tunnel.isprintable():
        why = f"its name is not 1 to {MAX_NAME} printable characters"
    elif max(len(end.addresses), len(end.peers)) > MAX_ADDRESSES:
        why = f"it has more than {MAX_ADDRESSES} addresses at one end"
    else:
        return None
    return Fault(
        reasons.TUNNEL_END_REFUSED(f"tunnel {_quote(end.tunnel)}", host=location.name, why=why),
        "declare it again: lvsctl apply, or PUT /v1/tunnels/NAME",
    )


def _admit_mtu(mtu: int | None, location: FaultLocation) -> tuple[int | None, Sequence[Fault]]:
    if mtu is None or _MIN_MTU <= mtu <= _MAX_MTU:
        return mtu, ()
    fault = Fault(
        reasons.MTU_OUT_OF_RANGE("mtu", host=location.name, mtu=mtu),
        f"set the tunnel's mtu of the pool to a value from {_MIN_MTU} to {_MAX_MTU}",
    )
    return None, [fault]


def _too_many(what: str, count: int, most: int, location: FaultLocation) -> Fault:
    return Fault(
        reasons.TOO_MANY_PARTS(what, host=location.name, count=count, most=most),
        "spread them over more real servers",
    )


def _admit(
    members: Iterable[T],
    most: int,
    refusal: Callable[[T], Fault | None],
    too_many: Callable[[int], Fault],
) -> tuple[tuple[T, ...], Sequence[Fault]]:
    """Return the acceptable members, without duplicates and at most ``most``, and the refusals."""
    judged = {member: refusal(member) for member in dict.fromkeys(members)}
    fit = [member for member, fault in judged.items() if fault is None]
    faults = [fault for fault in judged.values() if fault is not None]
    rest = len(fit) - max(most, 0)
    return tuple(fit[: max(most, 0)]), [*faults, *([too_many(rest)] if rest > 0 else [])]


def _summarize(faults: Sequence[Fault], location: FaultLocation) -> Iterator[Fault]:
    """Yield the first refusals and the number of others: a report must stay small."""
    yield from faults[:MAX_REPORTED]
    if len(faults) > MAX_REPORTED:
        yield Fault(
            reasons.MORE_REFUSED(
                "assignment", host=location.name, count=len(faults) - MAX_REPORTED
            ),
            "correct those listed; the others are listed after that",
        )


def _quote(text: str) -> str:
    shown = repr(text[: MAX_NAME + 1])
    return shown if len(text) <= MAX_NAME else f"{shown[:-1]}…'"
