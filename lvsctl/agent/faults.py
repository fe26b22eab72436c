"""What is wrong on a real server, in words: what was seen, through what, what mends it. Pure."""

import errno
from dataclasses import dataclass
from ipaddress import IPv6Interface

from lvsctl.agent.desired_host import DesiredHost, ServingSpec
from lvsctl.agent.mss import TABLE
from lvsctl.agent.sysctls import ARP_RULES, RP_FILTER, ipv6_is_off, ipv6_switch
from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.interface import (
    AddressKey,
    Config,
    FouPortConfig,
    FouPortKey,
    HostChange,
    HostKey,
    HostState,
    LinkConfig,
    LinkKey,
    RuleKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.messages.model import Assignment, Tunnel
from lvsctl.net import Family
from lvsctl.results import Failed


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be.

    Attributes:
        subject: The thing, as ip(8) or sysctl(8) names it.
        detail: What is seen, through what, and what follows from it.
        cure: What a person can do.
    """

    subject: str
    detail: str
    cure: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault is: the agent's name and its tunnel devices."""

    name: str
    tunnels: tuple[LinkKey, ...] = ()


def fault_of(
    key: HostKey, wanted: Config | None, observed: Config | None, place: Place
) -> Fault | None:
    """Say what is wrong with a key that is not as wanted.

    Returns:
        None where it only follows from another fault, such as other devices' rp_filter, which is
        raised because somebody set ``all``.
    """
    match key, wanted, observed:
        case LinkKey(), LinkConfig() as link, (None | LinkConfig()) as seen:
            return _link_fault(key, link, seen, place)
        case AddressKey(), _, None:
            return Fault(
                _subject(key),
                f"{key.address} is missing from {key.link} on {place.name}: "
                "packets for it are dropped, or sent back where the host forwards",
                f"ip address add {key.address} dev {key.link}",
            )
        case AddressKey(), _, _:
            return Fault(
                _subject(key),
                f"{key.address} on {key.link} on {place.name} is there with other options",
                f"ip address replace {key.address} dev {key.link}",
            )
        case FouPortKey(), FouPortConfig(), (None | FouPortConfig()) as seen:
            return _port_fault(key, seen, place)
        case RuleKey(), _, None:
            return Fault(
                str(key),
                f"{key} is missing on {place.name}: clients of {key.source} send packets that do "
                "not fit into the tunnel, and where ICMP is filtered uploads hang",
                f"ip -{_number(key.family)} rule add from {key.source} lookup {key.table} "
                f"priority {key.priority}",
            )
        case SysctlKey(), SysctlConfig() as config, SysctlConfig(value=value):
            return _sysctl_fault(key, config, value, place)
        case _:
            return None


def _link_fault(
    key: LinkKey, wanted: LinkConfig, observed: LinkConfig | None, place: Place
) -> Fault:
    where = f"{key} on {place.name}"
    if observed is None:
        fallback = FALLBACK_DEVICES.get(key.name)
        ends = f" local {wanted.local}" if wanted.local else ""
        return Fault(
            key.name,
            f"{where} is missing: tunnelled packets are refused",
            f"modprobe {fallback.module}"
            if fallback
            else f"ip link add {key} type {wanted.kind}{ends}",
        )
    if not observed.up:
        return Fault(
            key.name,
            f"{where} is down: clients see their connections refused",
            f"ip link set {key} up",
        )
    return Fault(
        key.name,
        f"{where} is another device: kind {observed.kind or 'hardware'}, local {observed.local}, "
        f"remote {observed.remote}",
        f"ip link delete {key}; the agent then makes it again",
    )


def _port_fault(key: FouPortKey, observed: FouPortConfig | None, place: Place) -> Fault:
    if observed is None:
        return Fault(
            str(key),
            f"{key} on {place.name} is missing: gue packets are refused",
            f"ip fou add port {key.port} gue" + (" -6" if key.family is Family.IPV6 else ""),
        )
    return Fault(
        str(key),
        f"{key} on {place.name} is open for IP protocol {observed.protocol}, not for gue: "
        "tunnelled packets are dropped",
        f"ip fou del port {key.port}, or choose another port for the tunnel",
    )


def _sysctl_fault(key: SysctlKey, wanted: SysctlConfig, value: str, place: Place) -> Fault | None:
    device, parameter = key.path[-2:]
    tunnels = ", ".join(map(str, place.tunnels))
    if parameter == RP_FILTER and device in {"all", *(link.name for link in place.tunnels)}:
        whose = tunnels if device == "all" else device
        effect = "tunnelled packets are dropped"
    elif parameter in {rule.parameter for rule in ARP_RULES}:
        whose = "every device" if device == "all" else device
        effect = "it speaks for the VIPs on its network, and clients may bypass the director"
    else:
        return None
    return Fault(
        str(key),
        f"{whose} on {place.name}: {parameter} is {value} through {key}; {effect}",
        f"sysctl -w {key}={wanted.value}, and in /etc/sysctl.d what sets it otherwise",
    )


def refusal_fault(change: HostChange, failed: Failed, place: Place) -> Fault:
    """Say that the kernel refused a change."""
    match change.key, failed.errno:
        case _, errno.EPERM | errno.EACCES:
            cure = "run the agent as root, or with the capability CAP_NET_ADMIN"
        case SysctlKey(), errno.EROFS:
            cure = "let the agent write /proc/sys: it is mounted read-only"
        case FouPortKey(port=port), errno.EADDRINUSE:
            return Fault(
                str(change.key),
                f"UDP port {port} on {place.name} is taken by another program, "
                "which gets the gue packets",
                f"find it with ss -lunp 'sport = :{port}', or choose another port for the tunnel",
            )
        case FouPortKey(), errno.ENOENT | errno.EOPNOTSUPP:
            cure = "install the kernel's module fou and load it with modprobe"
        case AddressKey(address=IPv6Interface()), errno.EOPNOTSUPP | errno.EAFNOSUPPORT:
            cure = "start the kernel without ipv6.disable=1"
        case LinkKey(), errno.ENODEV | errno.EOPNOTSUPP:
            kind = change.config.kind if isinstance(change.config, LinkConfig) else "of the device"
            cure = f"install the kernel's module {kind} and load it with modprobe"
        case _:
            cure = "see the agent's log; it tries again every few seconds"
    return Fault(_subject(change.key), f"{change} on {place.name}: {failed}", cure)


def unservable_faults(task: ServingSpec, place: Place) -> tuple[Fault, ...]:
    """Say what of a task this agent does not know how to do."""
    tunnels = [
        Fault(
            _named(tunnel),
            f"{place.name} cannot accept the tunnel {_described(tunnel)}: "
            "this version of the agent has ipip, gre, and gue with a port",
            "upgrade lvsctl here, or choose another tunnel for the pool",
        )
        for tunnel in task.tunnels
        if tunnel not in task.servable_tunnels
    ]
    vips = [
        Fault(
            str(vip),
            f"{place.name} cannot serve {vip}: no tunnel that it accepts carries it",
            "upgrade lvsctl here, or take the service from this pool",
        )
        for vip in task.vips
        if task.tunnels and vip not in task.servable_vips
    ]
    return (*tunnels, *vips)


def excluded_fault(tunnel: Tunnel, place: Place) -> Fault:
    """Say that a tunnel cannot be accepted beside another one."""
    return Fault(
        _named(tunnel),
        f"{place.name} cannot accept gre with and without checksum at once: the kernel's device "
        "for the one drops the packets of the other",
        "change the pool to another type of tunnel first, and from that to this one",
    )


def ipv6_faults(
    task: ServingSpec, goal: DesiredHost, state: HostState, place: Place
) -> list[Fault]:
    """Say where IPv6 is off although an IPv6 VIP needs it."""
    if Family.IPV6 not in task.families:
        return []
    devices = ["lo", *(link.name for link in goal.links)]
    return [
        Fault(
            str(ipv6_switch(device)),
            f"IPv6 is off on {device} on {place.name} through {ipv6_switch(device)}: "
            "IPv6 VIPs are not served",
            f"sysctl -w {ipv6_switch(device)}=0, and in /etc/sysctl.d what sets it otherwise "
            "(default.disable_ipv6 is what new devices get)",
        )
        for device in devices
        if ipv6_is_off(device, state)
    ]


def mss_faults(goal: DesiredHost, place: Place) -> list[Fault]:
    """Say for which clients no fitting MSS is announced; their uploads depend on ICMP."""
    effect = "uploads hang where ICMP is filtered"
    faults = []
    for plan in goal.mss:
        if plan.foreign:
            faults.append(
                Fault(
                    f"table {TABLE}",
                    f"routing table {TABLE} on {place.name} has routes that are not lvsctl's, such "
                    f"as {plan.foreign[0].destination}; it is left alone, no smaller MSS is "
                    f"announced: {effect}",
                    f"let who uses table {TABLE} use another one; if they are left of an lvsctl "
                    f"whose state folder was deleted: ip -{plan.foreign[0].destination.version} "
                    f"route flush table {TABLE}",
                )
            )
        if plan.too_many:
            faults.append(
                Fault(
                    f"table {TABLE}",
                    f"the main table of {place.name} has {plan.too_many} routes, more than are "
                    f"copied; no smaller MSS is announced: {effect}",
                    "give the VIPs' answers a table with fewer routes, or advmss yourself",
                )
            )
        faults += [
            Fault(
                f"route {route.destination}",
                f"the route {route.destination} on {place.name} cannot be copied (several next "
                f"hops?); its clients are announced no smaller MSS: {effect}",
                "give the route a suitable advmss yourself: ip route replace … advmss",
            )
            for route in plan.not_copied
        ]
    return faults


def _named(tunnel: Tunnel) -> str:
    return f"tunnel {_described(tunnel)}"


def _described(tunnel: Tunnel) -> str:
    port = f":{tunnel.port}" if tunnel.port else ""
    return f"{tunnel.type}{port}{' with checksum' if tunnel.checksum else ''}"


def _number(family: Family) -> int:
    return 6 if family is Family.IPV6 else 4


def unsettled_fault(key: HostKey, place: Place) -> Fault:
    """Say that a thing does not stay as it was just set."""
    return Fault(
        _subject(key),
        f"{key} on {place.name} changes as fast as it is set",
        "find what else sets it on this host",
    )


def kept_fault(assignment: Assignment, current: str, place: Place) -> Fault:
    """Say that VIPs or tunnels of another farm are kept."""
    links = (end.link for end in assignment.tunnel_ends)
    kept = ", ".join([*map(str, assignment.vips), *links])
    return Fault(
        f"farm {assignment.farm_id or 'unknown'}",
        f"{place.name} keeps {kept}, assigned by farm {assignment.farm_id or 'unknown'}; "
        f"the director now speaks for farm {current}, which does not know them",
        "put them into the present farm; or, if they are no longer served, lvsctl agent leave "
        "and start the agent again",
    )


def refused_fault(director: str, reason: str, place: Place) -> Fault:
    """Say that a director's assignment is not followed at all."""
    return Fault(
        "assignment",
        f"{place.name} does not follow what {director} assigns, and serves as before: {reason}",
        f"see what answers at {director}; is it lvsctl's director, and of this version?",
    )


def unreadable_fault(reason: str, place: Place) -> Fault:
    """Say that the host could not be observed."""
    return Fault(place.name, f"the network of {place.name} cannot be read: {reason}", "see the log")


def state_fault(reason: str, place: Place) -> Fault:
    """Say that the state folder does not keep what it should."""
    return Fault("state folder", f"on {place.name}: {reason}", "mend the disk or free space on it")


def _subject(key: HostKey) -> str:
    return str(key.address) if isinstance(key, AddressKey) else str(key)
