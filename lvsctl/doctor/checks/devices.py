"""The devices and UDP ports that decapsulate packets."""

from collections.abc import Iterator

from lvsctl.doctor.facts import Facts
from lvsctl.doctor.findings import Finding, broken
from lvsctl.doctor.tunnel_requirements import TunnelRequirement, requirements_of
from lvsctl.host.interface import FouPortConfig, LinkConfig, LinkKey


def loaded_requirements(facts: Facts) -> Iterator[TunnelRequirement]:
    """Yield the requirements whose modules are loaded; missing modules have their own check."""
    if facts.real_server is not None:
        for requirement in requirements_of(facts.real_server.spec):
            if facts.modules.loaded.issuperset(requirement.modules):
                yield requirement


def tunnel_device(facts: Facts) -> Iterator[Finding]:
    """Each tunnel has a device that accepts its packets and is up."""
    reported = set()
    for requirement in loaded_requirements(facts):
        devices = requirement.devices(facts.state)
        if any(config.up for config in devices.values()):
            continue
        name = next(iter(devices), requirement.fallback)
        if name in reported:
            continue
        reported.add(name)
        if devices:
            yield broken(
                name,
                f"{name} is down",
                f"packets in tunnel {requirement} are refused, and clients see their connections "
                "refused",
                f"ip link set {name} up",
            )
        else:
            yield broken(
                name,
                f"no device takes packets in tunnel {requirement}{_mismatch(requirement, facts)}",
                "they are refused, and clients see their connections refused",
                requirement.cure,
            )


def _mismatch(requirement: TunnelRequirement, facts: Facts) -> str:
    others = [
        f"{key} has local {config.local}"
        for key, config in facts.state.items()
        if isinstance(key, LinkKey)
        and isinstance(config, LinkConfig)
        and config.kind == requirement.kind
        and config.local not in {None, requirement.rip}
    ]
    return f": {', '.join(others)}, and the tunnel ends at {requirement.rip}" if others else ""


def fou_port(facts: Facts) -> Iterator[Finding]:
    """The UDP port of each gue tunnel decapsulates."""
    for port in dict.fromkeys(requirement.fou_port for requirement in loaded_requirements(facts)):
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
