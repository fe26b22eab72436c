"""The devices that take packets out of their tunnels."""

from collections.abc import Iterator

from lvsctl.doctor.facts import Facts
from lvsctl.doctor.findings import Finding, broken
from lvsctl.doctor.needs import Need, needs_of
from lvsctl.host.interface import FouPortConfig, LinkConfig, LinkKey


def loaded_needs(facts: Facts) -> Iterator[Need]:
    """Yield the needs whose modules are there: a missing module is told by itself."""
    if facts.real_server is not None:
        for need in needs_of(facts.real_server.task):
            if facts.modules.loaded.issuperset(need.modules):
                yield need


def tunnel_device(facts: Facts) -> Iterator[Finding]:
    """Each tunnel has a device of its kind that is up."""
    told = set()
    for need in loaded_needs(facts):
        devices = need.devices(facts.state)
        if any(config.up for config in devices.values()):
            continue
        name = next(iter(devices), need.fallback)
        if name in told:
            continue
        told.add(name)
        if devices:
            yield broken(
                name,
                f"{name} is down",
                f"packets in tunnel {need} are refused, and clients see their connections refused",
                f"ip link set {name} up",
            )
        else:
            yield broken(
                name,
                f"no device takes packets in tunnel {need}{_near(need, facts)}",
                "they are refused, and clients see their connections refused",
                need.cure,
            )


def _near(need: Need, facts: Facts) -> str:
    others = [
        f"{key} has local {config.local}"
        for key, config in facts.state.items()
        if isinstance(key, LinkKey)
        and isinstance(config, LinkConfig)
        and config.kind == need.kind
        and config.local not in {None, need.rip}
    ]
    return f": {', '.join(others)}, and the tunnel ends at {need.rip}" if others else ""


def fou_port(facts: Facts) -> Iterator[Finding]:
    """The UDP port of each gue tunnel unwraps."""
    for port in dict.fromkeys(need.fou_port for need in loaded_needs(facts)):
        if port is None:
            continue
        config = facts.state.get(port)
        if isinstance(config, FouPortConfig) and config.gue:
            continue
        six = " -6" if port.family.bits > 32 else ""  # noqa: PLR2004 - IPv4's width
        add = f"ip fou add port {port.port} gue{six}"
        if config is None:
            yield broken(
                str(port),
                f"UDP port {port.port} is not open for gue",
                "packets of the tunnel are answered with port unreachable",
                add,
            )
        else:
            yield broken(
                str(port),
                f"UDP port {port.port} unwraps plain fou, not gue",
                "the header of gue is taken for a packet, and dropped",
                f"ip fou del port {port.port}{six} && {add}",
            )
