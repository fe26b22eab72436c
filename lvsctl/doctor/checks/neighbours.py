"""Other hosts that claim a VIP."""

from collections.abc import Iterator

from lvsctl.doctor.facts import Facts
from lvsctl.doctor.findings import Finding, broken


def foreign_vip(facts: Facts) -> Iterator[Finding]:
    """No other host answers ARP or NDP for a VIP."""
    for vip, who in facts.owners.items():
        yield broken(
            str(vip),
            f"another host answers for VIP {vip}: {who}",
            "clients that believe it bypass the director",
            "on a real server: sysctl -w net.ipv4.conf.all.arp_ignore=1 "
            f"net.ipv4.conf.all.arp_announce=2; on any other host: ip address del {vip}",
        )
