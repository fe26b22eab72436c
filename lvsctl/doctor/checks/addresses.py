"""The VIPs on this host."""

from collections.abc import Iterator

from lvsctl.doctor.checks.devices import loaded_requirements
from lvsctl.doctor.facts import Facts
from lvsctl.doctor.findings import Finding, broken, warning
from lvsctl.net import IPAddress, family_of


def vip_on_real_server(facts: Facts) -> Iterator[Finding]:
    """Each VIP is an address of this real server."""
    if facts.real_server is None:
        return
    present = {key.address.ip for key in facts.addresses}
    for vip in facts.real_server.spec.vips:
        requirements = [
            requirement
            for requirement in loaded_requirements(facts)
            if requirement.inner is family_of(vip)
        ]
        link = next(
            (name for each in requirements for name in each.devices(facts.state)),
            None,
        )
        if vip in present or link is None:
            continue
        yield broken(
            str(vip),
            f"VIP {vip} is on no device",
            "packets for it are dropped, or sent round in a loop where this host forwards",
            f"ip address add {vip}/{family_of(vip).bits} dev {link}",
        )


def vip_on_director(facts: Facts) -> Iterator[Finding]:
    """Each VIP is local to the director."""
    if facts.director is None:
        return
    present = {key.address.ip for key in facts.addresses}
    make = "" if "lvs0" in facts.links else "ip link add lvs0 up type dummy; "
    for vip in facts.director.vips:
        if vip not in present:
            yield broken(
                str(vip),
                f"VIP {vip} is on no device of this director",
                "packets for it are routed on, and IPVS does not see them (a backup director "
                "that waits for its turn is right to be so)",
                f"{make}ip address add {vip}/{family_of(vip).bits} dev lvs0",
            )


def vip_prefix(facts: Facts) -> Iterator[Finding]:
    """A VIP is configured as a host address, /32 or /128."""
    vips: set[IPAddress] = set()
    if facts.real_server is not None:
        vips.update(facts.real_server.spec.vips)
    if facts.director is not None:
        vips.update(facts.director.vips)
    for key in facts.addresses:
        bits = family_of(key.address.ip).bits
        if key.address.ip not in vips or key.address.network.prefixlen == bits:
            continue
        right = f"{key.address.ip}/{bits}"
        yield warning(
            str(key.address),
            f"VIP {key.address} on {key.link} has a network around it",
            f"this host takes {key.address.network} for connected through {key.link}, and may "
            "speak to it from the VIP",
            f"ip address add {right} dev {key.link}; ip address del {key.address} dev {key.link}",
        )
