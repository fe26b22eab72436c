"""What is wrong on a real server, in words: what was seen, through what, what mends it. Pure."""

import errno
from dataclasses import dataclass

from lvsctl.agent.messages import Assignment
from lvsctl.agent.setup import ARP_RULES, RP_FILTER, Task
from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.protocol import (
    AddressKey,
    Config,
    HostChange,
    HostKey,
    LinkConfig,
    LinkKey,
    SysctlConfig,
    SysctlKey,
)
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
        case LinkKey(), errno.ENODEV | errno.EOPNOTSUPP:
            kind = change.config.kind if isinstance(change.config, LinkConfig) else "of the device"
            cure = f"install the kernel's module {kind} and load it with modprobe"
        case _:
            cure = "see the agent's log; it tries again every few seconds"
    return Fault(_subject(change.key), f"{change} on {place.name}: {failed}", cure)


def unservable_faults(task: Task, place: Place) -> tuple[Fault, ...]:
    """Say what of a task this agent does not know how to do."""
    servable = frozenset(task.servable_vips) if task.tunnels else frozenset(task.vips)
    tunnels = [
        Fault(
            f"tunnel {tunnel.type}",
            f"{place.name} at {task.address} cannot accept the tunnel {tunnel.type}: "
            "this version of the agent has ipip between IPv4 addresses",
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
        if vip not in servable
    ]
    return (*tunnels, *vips)


def unsettled_fault(key: HostKey, place: Place) -> Fault:
    """Say that a thing does not stay as it was just set."""
    return Fault(
        _subject(key),
        f"{key} on {place.name} changes as fast as it is set",
        "find what else sets it on this host",
    )


def kept_fault(assignment: Assignment, current: str, place: Place) -> Fault:
    """Say that VIPs of another farm are kept."""
    vips = ", ".join(map(str, assignment.vips))
    return Fault(
        f"farm {assignment.farm_id or 'unknown'}",
        f"{place.name} keeps {vips}, assigned by farm {assignment.farm_id or 'unknown'}; "
        f"the director now speaks for farm {current}, which does not know them",
        "put them into the present farm; or, if they are no longer served, lvsctl agent leave "
        "and start the agent again",
    )


def unreadable_fault(reason: str, place: Place) -> Fault:
    """Say that the host could not be observed."""
    return Fault(place.name, f"the network of {place.name} cannot be read: {reason}", "see the log")


def state_fault(reason: str, place: Place) -> Fault:
    """Say that the state folder does not keep what it should."""
    return Fault("state folder", f"on {place.name}: {reason}", "mend the disk or free space on it")


def _subject(key: HostKey) -> str:
    return str(key.address) if isinstance(key, AddressKey) else str(key)
