"""Kernel modules."""

from collections.abc import Iterator

from lvsctl.doctor.facts import Facts
from lvsctl.doctor.findings import Finding, broken
from lvsctl.doctor.tunnel_requirements import requirements_of


def real_server(facts: Facts) -> Iterator[Finding]:
    """The modules that the assigned tunnels need are loaded."""
    if facts.real_server is None:
        return
    needed = {
        module: str(requirement)
        for requirement in requirements_of(facts.real_server.spec)
        for module in requirement.modules
    }
    for module, tunnel in needed.items():
        yield from _missing(facts, module, f"tunnel {tunnel} needs it: its packets are refused")


def director(facts: Facts) -> Iterator[Finding]:
    """IPVS and the schedulers of the table are loaded."""
    if facts.director is None:
        return
    yield from _missing(facts, "ip_vs", "without it this host forwards nothing")
    for scheduler in sorted({each.config.scheduler for each in facts.director.table.values()}):
        yield from _missing(
            facts, f"ip_vs_{scheduler}", f"services with the scheduler {scheduler} need it"
        )


def _missing(facts: Facts, module: str, why: str) -> Iterator[Finding]:
    modules = facts.modules
    if module in modules.loaded:
        return
    if modules.installed is not None and module not in modules.installed:
        yield broken(
            module,
            f"kernel {modules.release} has no module {module}",
            why,
            f"install the package with the modules of kernel {modules.release}, "
            f"then modprobe {module}",
        )
        return
    yield broken(
        module,
        f"module {module} is not loaded",
        why,
        f"modprobe {module}; echo {module} > /etc/modules-load.d/{module}.conf",
    )
