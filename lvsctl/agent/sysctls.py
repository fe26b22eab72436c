"""The sysctls that suppress ARP for VIPs, and let tunnelled packets in. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from lvsctl.host.interface import Config, HostKey, HostState, SysctlConfig, SysctlKey

_CONF = ("net", "ipv4", "conf")
TEMPLATES = frozenset({"all", "default"})
_WITHOUT_ARP = frozenset({"lo"})


@dataclass(frozen=True, slots=True)
class ArpRule:
    """A sysctl that keeps a real server from answering or announcing its VIPs over ARP.

    The effective value is the greater of ``all`` and the device's own.

    Attributes:
        parameter: Its name.
        sufficient: Effective values that do so. arp_ignore 3 answers for addresses of every
            device; 4 to 7, and arp_announce above 2, act like 0 (net/ipv4/arp.c).
        minimum: What ``all`` is set to where that is not sufficient.
    """

    parameter: str
    sufficient: frozenset[int]
    minimum: int


ARP_RULES = (
    ArpRule("arp_ignore", frozenset({1, 2, 8}), 1),
    ArpRule("arp_announce", frozenset({2}), 2),
)
RP_FILTER = "rp_filter"
PARAMETERS = (*(rule.parameter for rule in ARP_RULES), RP_FILTER)


def conf(device: str, parameter: str) -> SysctlKey:
    """Return the key of a device's IPv4 parameter."""
    return SysctlKey((*_CONF, device, parameter))


def ipv6_switch(device: str) -> SysctlKey:
    """Return the key of the sysctl that turns IPv6 off on a device."""
    return SysctlKey(("net", "ipv6", "conf", device, "disable_ipv6"))


def ipv6_is_off(device: str, observed: HostState) -> bool:
    """Tell whether a device takes no IPv6 packets."""
    switch = observed.get(ipv6_switch(device))
    return isinstance(switch, SysctlConfig) and switch.value != "0"


class Sysctls:
    """The sysctls of one observation, and their desired values."""

    def __init__(self, observed: HostState, tunnels: frozenset[str]) -> None:
        self._observed = observed
        self._tunnels = tunnels
        self._others = [
            key.path[-2]
            for key, config in observed.items()
            if isinstance(key, SysctlKey)
            and key == conf(key.path[-2], RP_FILTER)
            and config is not None
            and key.path[-2] not in TEMPLATES | tunnels
        ]

    def arp(self) -> Iterator[tuple[HostKey, Config]]:
        """Yield the settings that keep every device silent for VIPs."""
        for rule in ARP_RULES:
            present = self._value("all", rule.parameter)
            for_all = present if present in rule.sufficient else rule.minimum
            yield _set("all", rule.parameter, for_all)
            for device in self._others:
                if device in _WITHOUT_ARP:
                    continue
                own = self._value(device, rule.parameter)
                enough = max(for_all, own) in rule.sufficient
                yield _set(device, rule.parameter, own if enough else 0)

    def strict_default(self) -> Iterator[tuple[HostKey, Config]]:
        """Yield the setting that keeps devices created later as strict as without lvsctl."""
        yield _set("default", RP_FILTER, self._effective_rp_filter("default"))

    def current_rp_filter(self) -> Iterator[tuple[HostKey, Config]]:
        """Yield every device's rp_filter as it is."""
        for device in (*self._others, *sorted(self._tunnels)):
            yield _set(device, RP_FILTER, self._value(device, RP_FILTER))

    def relaxed_tunnels(self) -> Iterator[tuple[HostKey, Config]]:
        """Yield the remaining settings: others stay as strict as they were, tunnels are relaxed."""
        for device in self._others:
            yield _set(device, RP_FILTER, self._effective_rp_filter(device))
        yield _set("all", RP_FILTER, 0)
        for tunnel in sorted(self._tunnels):
            yield _set(tunnel, RP_FILTER, 0)

    def _effective_rp_filter(self, device: str) -> int:
        return max(self._value("all", RP_FILTER), self._value(device, RP_FILTER))

    def _value(self, device: str, parameter: str) -> int:
        config = self._observed[conf(device, parameter)]
        # A device that vanished between two reads counts as 0.
        return int(config.value) if isinstance(config, SysctlConfig) else 0


def _set(device: str, parameter: str, value: int) -> tuple[HostKey, Config]:
    return conf(device, parameter), SysctlConfig(str(value))
