"""Counters that rise while doctor runs; totals since boot say nothing about now."""

from collections.abc import Iterator, Mapping, Sequence

from lvsctl.doctor.facts import Facts
from lvsctl.doctor.findings import Finding, warning
from lvsctl.host.interface import LinkConfig, LinkKey

DROP_COUNTERS: Mapping[str, tuple[str, str]] = {
    "TcpExt IPReversePathFilter": (
        "the reverse path filter drops packets whose senders are not reached by their device",
        "sysctl -a -r rp_filter; the effective value is the greater of all and the device's own",
    ),
    "Ip InNoRoutes": ("packets arrive for which there is no route", "ip route"),
    "Ip ReasmFails": (
        "fragments arrive that never become whole: large UDP datagrams are lost",
        "sysctl net.ipv4.ipfrag_high_thresh net.ipv4.ipfrag_time",
    ),
    "Ip FragFails": ("packets may not be fragmented and are too large", "ip route show cache"),
    "Ip6 Ip6InAddrErrors": (
        "IPv6 packets arrive for addresses that this host does not have",
        "ip -6 address",
    ),
    "Ip6 Ip6InNoRoutes": ("IPv6 packets arrive for which there is no route", "ip -6 route"),
}
_ERRORS = ("receive errors", "transmit errors")
_DROPS = ("receive drops", "transmit drops")
_RECEIVED = ("receive errors", "receive drops")
TUNNELS = frozenset({"ipip", "gre", "gretap", "sit", "ip6tnl", "ip6gre"})


def drops(facts: Facts) -> Iterator[Finding]:
    """The kernel drops no packets for a reason that affects LVS-TUN."""
    for name, (why, cure) in DROP_COUNTERS.items():
        rise = facts.rise.values.get(name, 0)
        if rise > 0:
            total = facts.after.values[name]
            yield warning(
                name, f"{name} rose by {rise} while doctor looked, to {total} since boot", why, cure
            )


def device_errors(facts: Facts) -> Iterator[Finding]:
    """No device loses packets; on devices other than tunnels, drops are normal and ignored."""
    links = {
        key.name: config
        for key, config in facts.state.items()
        if isinstance(key, LinkKey) and isinstance(config, LinkConfig)
    }
    for device, rises in facts.rise.devices.items():
        for what in _loss_counters(links.get(device)):
            if rises.get(what, 0) > 0:
                total = facts.after.devices[device][what]
                yield warning(
                    device,
                    f"{what} of {device} rose by {rises[what]} while doctor looked, to {total}",
                    "packets are lost on this device",
                    f"ip -s -s link show {device}",
                )


def _loss_counters(link: LinkConfig | None) -> Sequence[str]:
    if link is None or link.kind not in TUNNELS:
        return _ERRORS
    if link.remote is None:  # receive-only: IPv6's own router solicitations fail to leave by it
        return _RECEIVED
    return (*_ERRORS, *_DROPS)
