"""Faults on a real server, in words: what is wrong, with which effect, and the cure. Pure."""

import errno
from dataclasses import dataclass
from ipaddress import IPv6Interface

from lvsctl.agent.desired_host import DesiredHost
from lvsctl.agent.devices import ServingSpec
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
    """One fault.

    Attributes:
        subject: The thing, as ip(8) or sysctl(8) names it.
        detail: What is wrong, through what, and the effect.
        cure: What a person can do.
    """

    subject: str
    detail: str
    cure: str


@dataclass(frozen=True, slots=True)
class FaultLocation:
    """Where a fault is: the agent's name and its tunnel devices."""

    name: str
    tunnels: tuple[LinkKey, ...] = ()


def drift_fault(
    key: HostKey, wanted: Config | None, observed: Config | None, location: FaultLocation
) -> Fault | None:
    """Describe the drift of a key.

    Returns:
        None where it only follows from another fault, such as other devices' rp_filter, which is
        raised because somebody set ``all``.
    """
    match key, wanted, observed:
        case LinkKey(), LinkConfig() as link, (None | LinkConfig()) as seen:
            return _link_fault(key, link, seen, location)
        case AddressKey(), _, None:
            return Fault(
                _subject(key),
                f"{key.address} is missing from {key.link} on {location.name}: "
                "packets for it are dropped, or sent back where the host forwards",
                f"ip address add {key.address} dev {key.link}",
            )
        case AddressKey(), _, _:
            return Fault(
                _subject(key),
                f"{key.address} on {key.link} on {location.name} has other options",
                f"ip address replace {key.address} dev {key.link}",
            )
        case FouPortKey(), FouPortConfig(), (None | FouPortConfig()) as seen:
            return _port_fault(key, seen, location)
        case RuleKey(), _, None:
            return Fault(
                str(key),
                f"{key} is missing on {location.name}: clients of {key.source} send packets that "
                "do not fit into the tunnel, and where ICMP is filtered uploads hang",
                f"ip -{_number(key.family)} rule add from {key.source} lookup {key.table} "
                f"priority {key.priority}",
            )
        case SysctlKey(), SysctlConfig() as config, SysctlConfig(value=value):
            return _sysctl_fault(key, config, value, location)
        case _:
            return None


def _link_fault(
    key: LinkKey, wanted: LinkConfig, observed: LinkConfig | None, location: FaultLocation
) -> Fault:
    where = f"{key} on {location.name}"
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


def _port_fault(key: FouPortKey, observed: FouPortConfig | None, location: FaultLocation) -> Fault:
    if observed is None:
        return Fault(
            str(key),
            f"{key} on {location.name} is missing: gue packets are refused",
            f"ip fou add port {key.port} gue" + (" -6" if key.family is Family.IPV6 else ""),
        )
    return Fault(
        str(key),
        f"{key} on {location.name} is open for IP protocol {observed.protocol}, not for gue: "
        "tunnelled packets are dropped",
        f"ip fou del port {key.port}, or choose another port for the tunnel",
    )


def _sysctl_fault(
    key: SysctlKey, wanted: SysctlConfig, value: str, location: FaultLocation
) -> Fault | None:
    device, parameter = key.path[-2:]
    tunnels = ", ".join(map(str, location.tunnels))
    if parameter == RP_FILTER and device in {"all", *(link.name for link in location.tunnels)}:
        whose = tunnels if device == "all" else device
        effect = "tunnelled packets are dropped"
    elif parameter in {rule.parameter for rule in ARP_RULES}:
        whose = "every device" if device == "all" else device
        effect = "it answers ARP for the VIPs, and clients may bypass the director"
    else:
        return None
    return Fault(
        str(key),
        f"{whose} on {location.name}: {parameter} is {value} through {key}; {effect}",
        f"sysctl -w {key}={wanted.value}, and correct the setting in /etc/sysctl.d",
    )


def refusal_fault(change: HostChange, failed: Failed, location: FaultLocation) -> Fault:
    """Describe a change that the kernel refused."""
    match change.key, failed.errno:
        case _, errno.EPERM | errno.EACCES:
            cure = "run the agent as root, or with the capability CAP_NET_ADMIN"
        case SysctlKey(), errno.EROFS:
            cure = "let the agent write /proc/sys: it is mounted read-only"
        case FouPortKey(port=port), errno.EADDRINUSE:
            return Fault(
                str(change.key),
                f"UDP port {port} on {location.name} is in use by another program, "
                "which receives the gue packets",
                f"find it with ss -lunp 'sport = :{port}', or choose another port for the tunnel",
            )
        case FouPortKey(), errno.ENOENT | errno.EOPNOTSUPP:
            cure = "install the kernel module fou and load it with modprobe fou"
        case AddressKey(address=IPv6Interface()), errno.EOPNOTSUPP | errno.EAFNOSUPPORT:
            cure = "start the kernel without ipv6.disable=1"
        case LinkKey(), errno.ENODEV | errno.EOPNOTSUPP:
            kind = change.config.kind if isinstance(change.config, LinkConfig) else "of the device"
            cure = f"install the kernel module {kind} and load it with modprobe"
        case _:
            cure = "see the agent's log; it retries every few seconds"
    return Fault(_subject(change.key), f"{change} on {location.name}: {failed}", cure)


def unservable_faults(spec: ServingSpec, location: FaultLocation) -> tuple[Fault, ...]:
    """Describe the tunnels and VIPs that this version of the agent does not support."""
    tunnels = [
        Fault(
            _tunnel_subject(tunnel),
            f"{location.name} cannot accept the tunnel {_describe(tunnel)}: "
            "this version of the agent supports ipip, gre, and gue with a port",
            "upgrade lvsctl here, or choose another tunnel for the pool",
        )
        for tunnel in spec.tunnels
        if tunnel not in spec.servable_tunnels
    ]
    vips = [
        Fault(
            str(vip),
            f"{location.name} cannot serve {vip}: no tunnel that it accepts carries it",
            "upgrade lvsctl here, or take the service from this pool",
        )
        for vip in spec.vips
        if spec.tunnels and vip not in spec.servable_vips
    ]
    return (*tunnels, *vips)


def excluded_fault(tunnel: Tunnel, location: FaultLocation) -> Fault:
    """Describe a tunnel that cannot be accepted beside another one."""
    return Fault(
        _tunnel_subject(tunnel),
        f"{location.name} cannot accept gre with and without checksum at once: the kernel's device "
        "for one drops the packets of the other",
        "change the pool to another tunnel type first, and then to this one",
    )


def ipv6_faults(
    spec: ServingSpec, desired: DesiredHost, state: HostState, location: FaultLocation
) -> list[Fault]:
    """Describe devices where IPv6 is off although an IPv6 VIP needs it."""
    if Family.IPV6 not in spec.families:
        return []
    devices = ["lo", *(link.name for link in desired.links)]
    return [
        Fault(
            str(ipv6_switch(device)),
            f"IPv6 is off on {device} on {location.name} through {ipv6_switch(device)}: "
            "IPv6 VIPs are not served",
            f"sysctl -w {ipv6_switch(device)}=0, and correct the setting in /etc/sysctl.d "
            "(default.disable_ipv6 is what new devices get)",
        )
        for device in devices
        if ipv6_is_off(device, state)
    ]


def mss_faults(desired: DesiredHost, location: FaultLocation) -> list[Fault]:
    """Describe routes whose clients get no fitting MSS; their uploads depend on ICMP."""
    effect = "uploads hang where ICMP is filtered"
    faults = []
    for plan in desired.mss:
        if plan.foreign:
            faults.append(
                Fault(
                    f"table {TABLE}",
                    f"routing table {TABLE} on {location.name} has routes that are not lvsctl's, "
                    f"such as {plan.foreign[0].destination}; it is left alone, no smaller MSS is "
                    f"announced: {effect}",
                    f"move whatever uses table {TABLE} to another table; if the routes are from an "
                    "lvsctl whose state folder was deleted: "
                    f"ip -{plan.foreign[0].destination.version} route flush table {TABLE}",
                )
            )
        if plan.too_many:
            faults.append(
                Fault(
                    f"table {TABLE}",
                    f"the main table of {location.name} has {plan.too_many} routes, more than "
                    f"lvsctl copies; no smaller MSS is announced: {effect}",
                    "route the VIPs' replies by a table with fewer routes, or set advmss on them",
                )
            )
        faults += [
            Fault(
                f"route {route.destination}",
                f"the route {route.destination} on {location.name} cannot be copied (several next "
                f"hops?); its clients are announced no smaller MSS: {effect}",
                "set a suitable advmss on the route: ip route replace … advmss",
            )
            for route in plan.not_copied
        ]
    return faults


def _tunnel_subject(tunnel: Tunnel) -> str:
    return f"tunnel {_describe(tunnel)}"


def _describe(tunnel: Tunnel) -> str:
    port = f":{tunnel.port}" if tunnel.port else ""
    return f"{tunnel.type}{port}{' with checksum' if tunnel.checksum else ''}"


def _number(family: Family) -> int:
    return 6 if family is Family.IPV6 else 4


def unstable_fault(key: HostKey, location: FaultLocation) -> Fault:
    """Describe a key that does not stay as lvsctl sets it."""
    return Fault(
        _subject(key),
        f"{key} on {location.name} changes as fast as it is set",
        "find and stop the program that sets it on this host",
    )


def kept_fault(assignment: Assignment, current: str, location: FaultLocation) -> Fault:
    """Describe VIPs or tunnels that are kept for another farm."""
    links = (end.link for end in assignment.tunnel_ends)
    kept = ", ".join([*map(str, assignment.vips), *links])
    return Fault(
        f"farm {assignment.farm_id or 'unknown'}",
        f"{location.name} keeps {kept}, assigned by farm {assignment.farm_id or 'unknown'}; "
        f"the director now serves farm {current}, which does not have them",
        "add them to the current farm; or, if they are no longer served, run lvsctl agent leave "
        "and start the agent again",
    )


def refused_fault(director: str, reason: str, location: FaultLocation) -> Fault:
    """Describe an assignment that is refused as a whole."""
    return Fault(
        "assignment",
        f"{location.name} does not follow what {director} assigns, and serves as before: {reason}",
        f"check that {director} is an lvsctl director of this version",
    )


def unreadable_fault(reason: str, location: FaultLocation) -> Fault:
    """Describe a host that could not be observed."""
    return Fault(
        location.name, f"the network of {location.name} cannot be read: {reason}", "see the log"
    )


def state_fault(reason: str, location: FaultLocation) -> Fault:
    """Describe a failure of the state folder."""
    return Fault(
        "state folder", f"on {location.name}: {reason}", "repair the disk or free space on it"
    )


def _subject(key: HostKey) -> str:
    return str(key.address) if isinstance(key, AddressKey) else str(key)
