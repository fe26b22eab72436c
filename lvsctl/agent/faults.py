"""Faults on a real server: what is wrong, with which effect, and the cure. Pure."""

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
from lvsctl.reasons import hosts as reasons
from lvsctl.reasons.reason import Reason
from lvsctl.results import Failed


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        reason: What is wrong, through what, and the effect; its subject is the thing, as ip(8) or
            sysctl(8) names it.
        cure: What a person can do.
    """

    reason: Reason
    cure: str

    @property
    def subject(self) -> str:
        """The thing, as ip(8) or sysctl(8) names it."""
        return self.reason.subject

    @property
    def detail(self) -> str:
        """What is wrong, in words."""
        return str(self.reason)

    @property
    def code(self) -> str:
        """What is wrong, for programs."""
        return self.reason.code


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
                reasons.ADDRESS_MISSING(
                    key.address, address=key.address, link=key.link, host=location.name
                ),
                f"ip address add {key.address} dev {key.link}",
            )
        case AddressKey(), _, _:
            return Fault(
                reasons.ADDRESS_DIFFERS(
                    key.address, address=key.address, link=key.link, host=location.name
                ),
                f"ip address replace {key.address} dev {key.link}",
            )
        case FouPortKey(), FouPortConfig(), (None | FouPortConfig()) as seen:
            return _port_fault(key, seen, location)
        case RuleKey(), _, None:
            return Fault(
                reasons.RULE_MISSING(key, host=location.name, source=key.source),
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
    if observed is None:
        fallback = FALLBACK_DEVICES.get(key.name)
        ends = f" local {wanted.local}" if wanted.local else ""
        return Fault(
            reasons.LINK_MISSING(key.name, device=key, host=location.name),
            f"modprobe {fallback.module}"
            if fallback
            else f"ip link add {key} type {wanted.kind}{ends}",
        )
    if not observed.up:
        return Fault(
            reasons.LINK_DOWN(key.name, device=key, host=location.name),
            f"ip link set {key} up",
        )
    return Fault(
        reasons.LINK_DIFFERS(
            key.name,
            device=key,
            host=location.name,
            kind=observed.kind or "hardware",
            local=str(observed.local),
            remote=str(observed.remote),
        ),
        f"ip link delete {key}; the agent then makes it again",
    )


def _port_fault(key: FouPortKey, observed: FouPortConfig | None, location: FaultLocation) -> Fault:
    if observed is None:
        return Fault(
            reasons.FOU_PORT_MISSING(key, host=location.name),
            f"ip fou add port {key.port} gue" + (" -6" if key.family is Family.IPV6 else ""),
        )
    return Fault(
        reasons.FOU_PORT_DIFFERS(key, host=location.name, protocol=observed.protocol),
        f"ip fou del port {key.port}, or choose another port for the tunnel",
    )


def _sysctl_fault(
    key: SysctlKey, wanted: SysctlConfig, value: str, location: FaultLocation
) -> Fault | None:
    device, parameter = key.path[-2:]
    tunnels = ", ".join(map(str, location.tunnels))
    if parameter == RP_FILTER and device in {"all", *(link.name for link in location.tunnels)}:
        whose = tunnels if device == "all" else device
        kind = reasons.RP_FILTER
    elif parameter in {rule.parameter for rule in ARP_RULES}:
        whose = "every device" if device == "all" else device
        kind = reasons.ARP_SYSCTL
    else:
        return None
    return Fault(
        kind(key, whose=whose, host=location.name, parameter=parameter, value=value),
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
                reasons.FOU_PORT_IN_USE(change.key, port=port, host=location.name),
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
    why = reasons.CHANGE_REFUSED(
        _subject(change.key), change=change, host=location.name, result=failed
    )
    return Fault(why, cure)


def unservable_faults(spec: ServingSpec, location: FaultLocation) -> tuple[Fault, ...]:
    """Describe the tunnels and VIPs that this version of the agent does not support."""
    tunnels = [
        Fault(
            reasons.TUNNEL_UNSUPPORTED(
                _tunnel_subject(tunnel), host=location.name, tunnel=_describe(tunnel)
            ),
            "upgrade lvsctl here, or choose another tunnel for the pool",
        )
        for tunnel in spec.tunnels
        if tunnel not in spec.servable_tunnels
    ]
    vips = [
        Fault(
            reasons.VIP_UNCARRIED(vip, host=location.name),
            "upgrade lvsctl here, or take the service from this pool",
        )
        for vip in spec.vips
        if spec.tunnels and vip not in spec.servable_vips
    ]
    return (*tunnels, *vips)


def excluded_fault(tunnel: Tunnel, location: FaultLocation) -> Fault:
    """Describe a tunnel that cannot be accepted beside another one."""
    return Fault(
        reasons.TUNNELS_EXCLUDE(_tunnel_subject(tunnel), host=location.name),
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
            reasons.IPV6_OFF(ipv6_switch(device), device=device, host=location.name),
            f"sysctl -w {ipv6_switch(device)}=0, and correct the setting in /etc/sysctl.d "
            "(default.disable_ipv6 is what new devices get)",
        )
        for device in devices
        if ipv6_is_off(device, state)
    ]


def mss_faults(desired: DesiredHost, location: FaultLocation) -> list[Fault]:
    """Describe routes whose clients get no fitting MSS; their uploads depend on ICMP."""
    faults = []
    for plan in desired.mss:
        if plan.foreign:
            faults.append(
                Fault(
                    reasons.MSS_TABLE_FOREIGN(
                        f"table {TABLE}",
                        table=TABLE,
                        host=location.name,
                        route=plan.foreign[0].destination,
                    ),
                    f"move whatever uses table {TABLE} to another table; if the routes are from an "
                    "lvsctl whose state folder was deleted: "
                    f"ip -{plan.foreign[0].destination.version} route flush table {TABLE}",
                )
            )
        if plan.too_many:
            faults.append(
                Fault(
                    reasons.MSS_TOO_MANY_ROUTES(
                        f"table {TABLE}", host=location.name, count=plan.too_many
                    ),
                    "route the VIPs' replies by a table with fewer routes, or set advmss on them",
                )
            )
        faults += [
            Fault(
                reasons.MSS_ROUTE_NOT_COPIED(
                    f"route {route.destination}", route=route.destination, host=location.name
                ),
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
        reasons.UNSTABLE(_subject(key), key=key, host=location.name),
        "find and stop the program that sets it on this host",
    )


def kept_fault(assignment: Assignment, current: str, location: FaultLocation) -> Fault:
    """Describe VIPs or tunnels that are kept for another farm."""
    links = (end.link for end in assignment.tunnel_ends)
    kept = ", ".join([*map(str, assignment.vips), *links])
    return Fault(
        reasons.KEPT_FOR_OTHER_FARM(
            f"farm {assignment.farm_id or 'unknown'}",
            host=location.name,
            kept=kept,
            current=current,
        ),
        "add them to the current farm; or, if they are no longer served, run lvsctl agent leave "
        "and start the agent again",
    )


def refused_fault(director: str, reason: str, location: FaultLocation) -> Fault:
    """Describe an assignment that is refused as a whole."""
    return Fault(
        reasons.ASSIGNMENT_REFUSED("assignment", host=location.name, director=director, why=reason),
        f"check that {director} is an lvsctl director of this version",
    )


def unreadable_fault(reason: str, location: FaultLocation) -> Fault:
    """Describe a host that could not be observed."""
    return Fault(reasons.HOST_UNREADABLE(location.name, error=reason), "see the log")


def state_fault(reason: str, location: FaultLocation) -> Fault:
    """Describe a failure of the state folder."""
    return Fault(
        reasons.STATE_FOLDER_BROKEN("state folder", host=location.name, error=reason),
        "repair the disk or free space on it",
    )


def _subject(key: HostKey) -> str:
    return str(key.address) if isinstance(key, AddressKey) else str(key)
