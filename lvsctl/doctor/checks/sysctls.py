"""Kernel parameters, and the files that set them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lvsctl.agent.sysctls import ARP_RULES, RP_FILTER, conf
from lvsctl.doctor.checks.devices import loaded_requirements
from lvsctl.doctor.facts import Facts, SysctlSetting
from lvsctl.doctor.findings import Finding, broken, warning
from lvsctl.doctor.sysctl_settings import set_by
from lvsctl.host.interface import LinkConfig, LinkKey, SysctlKey
from lvsctl.net import Family

_LOCAL_LINKS = frozenset({"lo", "lvs0"})
_IPVS = {
    "expire_nodest_conn": (
        1,
        "connections of a server that was taken out hang instead of being reset",
    ),
    "expire_quiescent_template": (
        1,
        "persistent clients stay with a server whose weight is 0",
    ),
    "pmtu_disc": (
        1,
        "packets that are too large for the tunnel are fragmented, which costs the real servers",
    ),
}


@dataclass(frozen=True, slots=True)
class Effective:
    """A parameter's effective value: the greater of ``all`` and the device's (ip-sysctl.rst).

    Attributes:
        value: The effective value.
        key: The parameter that it comes from, of ``all`` or of the device.
        setting: The line in sysctl.d that sets this parameter; None if there is none.
    """

    value: int
    key: SysctlKey
    setting: SysctlSetting | None

    @property
    def source(self) -> str:
        """The parameter and the file that it comes from, in words."""
        return _source(self.key, self.setting)


def effective(facts: Facts, link: str, parameter: str) -> Effective | None:
    """Return the effective value of a parameter of ``net.ipv4.conf``, None if it is missing."""
    for_all = facts.sysctl("net", "ipv4", "conf", "all", parameter)
    own = facts.sysctl("net", "ipv4", "conf", link, parameter)
    if for_all is None or own is None:
        return None
    device = "all" if for_all >= own else link
    key = SysctlKey(("net", "ipv4", "conf", device, parameter))
    return Effective(max(for_all, own), key, set_by(key, facts.settings))


def _source(key: SysctlKey, setting: SysctlSetting | None) -> str:
    if setting is None:
        return f"through {key}, which no file in sysctl.d sets"
    return f"through {key}, which {setting.file} sets to {setting.value}"


def _write(facts: Facts, key: SysctlKey, value: int) -> str:
    setting = set_by(key, facts.settings)
    command = f"sysctl -w {key}={value}"
    wrong = setting is not None and setting.value != str(value)
    return f"{command}, and the same in {setting.file}" if wrong and setting else command


def rp_filter(facts: Facts) -> Iterator[Finding]:
    """The reverse path filter passes decapsulated packets."""
    reported = set()
    tunnels = dict.fromkeys(
        link
        for requirement in loaded_requirements(facts)
        if requirement.inner is Family.IPV4
        for link, config in requirement.devices(facts.state).items()
        if config.up
    )
    for link in tunnels:
        found = effective(facts, link, RP_FILTER)
        if found is None or found.value == 0 or found.key in reported:
            continue
        reported.add(found.key)
        total = facts.after.values.get("TcpExt IPReversePathFilter", 0)
        yield (broken if found.value == 1 else warning)(
            str(found.key),
            f"rp_filter on {link} is {found.value} {found.source}; "
            f"{total} packets were dropped by it since boot",
            "answers to what comes out of the tunnel leave by another device, so the kernel "
            + (
                "takes the senders for forged and drops the packets"
                if found.value == 1
                else "drops the packets unless the tunnel device has an IPv4 address"
            ),
            _relax(facts, found, tunnels),
        )


def _relax(facts: Facts, found: Effective, tunnels: Collection[str]) -> str:
    """Return the command that relaxes rp_filter on tunnel devices and on no other device."""
    if found.key != conf("all", RP_FILTER):
        return _write(facts, found.key, 0)
    # Writing default also changes devices whose own value was never written, so it comes first.
    others = ["default", *(name for name in _arp_links(facts) if name not in tunnels)]
    weaker = [name for name in others if (_own(facts, name) or 0) < found.value]
    values = {
        **dict.fromkeys((conf(name, RP_FILTER) for name in weaker), found.value),
        **dict.fromkeys((conf(name, RP_FILTER) for name in tunnels), 0),
    }
    raised = "".join(f" {key}={value}" for key, value in values.items())
    return _write(facts, found.key, 0).replace("sysctl -w", f"sysctl -w{raised}", 1)


def _own(facts: Facts, link: str) -> int | None:
    return facts.sysctl(*conf(link, RP_FILTER).path)


def arp(facts: Facts) -> Iterator[Finding]:
    """The real server neither answers ARP for a VIP nor announces it."""
    if facts.real_server is None or facts.director is not None:
        return
    if not any(vip.version == 4 for vip in facts.real_server.spec.vips):  # noqa: PLR2004
        return
    for rule in ARP_RULES:
        reported = set()
        for link in _arp_links(facts):
            found = effective(facts, link, rule.parameter)
            if found is None or found.value in rule.sufficient:
                continue
            if found.key in reported:
                continue
            reported.add(found.key)
            yield broken(
                str(found.key),
                f"{rule.parameter} on {link} is {found.value} {found.source}",
                "this host speaks for the VIPs on its network, and clients bypass the director",
                _write(facts, found.key, rule.minimum),
            )


def _arp_links(facts: Facts) -> list[str]:
    """Return the devices on which others can send ARP requests: neither loopback nor tunnels."""
    kinds = {
        key.name: config.kind
        for key, config in facts.state.items()
        if isinstance(key, LinkKey) and isinstance(config, LinkConfig) and config.up
    }
    quiet = {"ipip", "gre", "sit", "ip6tnl", "ip6gre", "dummy"}
    return [name for name, kind in kinds.items() if name != "lo" and kind not in quiet]


def director_arp(facts: Facts) -> Iterator[Finding]:
    """The director answers ARP for its VIPs."""
    if facts.director is None or facts.real_server is not None:
        return
    apart = [
        key
        for key in facts.addresses
        if key.address.ip in facts.director.vips
        and key.address.version == 4  # noqa: PLR2004
        and key.link in _LOCAL_LINKS
    ]
    for link in _arp_links(facts) if apart else ():
        if not any(key.link == link and key.address.version == 4 for key in facts.addresses):  # noqa: PLR2004
            continue
        found = effective(facts, link, "arp_ignore")
        if found is not None and found.value:
            yield warning(
                str(found.key),
                f"arp_ignore on {link} is {found.value} {found.source}",
                f"clients on this link cannot find VIPs on {apart[0].link}",
                _write(facts, found.key, 0),
            )


def ipvs(facts: Facts) -> Iterator[Finding]:
    """The sysctls of IPVS have lvsctl's defaults, unless a running director manages them."""
    if facts.director is None or facts.director.daemon_runs:
        return  # the daemon compares them with the farm's settings, and reports
    for name, (wanted, why) in _IPVS.items():
        key = SysctlKey(("net", "ipv4", "vs", name))
        value = facts.sysctl(*key.path)
        if value is not None and value != wanted:
            yield warning(
                str(key),
                f"{name} is {value} {_source(key, set_by(key, facts.settings))}",
                why,
                _write(facts, key, wanted),
            )
