"""The IPVS parameters of the director's network namespace. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from lvsctl.farm.model import Settings
from lvsctl.host.interface import HostChange, HostState, SysctlConfig, SysctlKey


@dataclass(frozen=True, slots=True)
class SysctlPlan:
    """What leads to the wanted parameters.

    Attributes:
        changes: To be written.
        problems: What differs and may not be written, or cannot, in words.
    """

    changes: Sequence[HostChange]
    problems: Sequence[str]


def wanted_sysctls(settings: Settings) -> HostState:
    """Return the parameters that the farm asks for."""
    return {
        SysctlKey(("net", "ipv4", "vs", name)): SysctlConfig(str(value))
        for name, value in settings.effective_sysctls.items()
    }


def plan_sysctls(wanted: HostState, observed: HostState, foreign: Sequence[str]) -> SysctlPlan:
    """Compare parameters; they hold for foreign services as well, so those forbid writing.

    Args:
        wanted: As the farm asks.
        observed: As they are; None where this kernel does not know one.
        foreign: Virtual services in the same namespace that are not ours, in words; empty when
            their owners have agreed (``--take-sysctls``).
    """
    changes: list[HostChange] = []
    problems: list[str] = []
    for key, config in wanted.items():
        found = observed.get(key)
        if found == config or not isinstance(config, SysctlConfig):
            continue
        if not isinstance(found, SysctlConfig):
            problems.append(f"{key}: this kernel does not have it; wanted {config.value}")
        elif foreign:
            problems.append(
                f"{key} is {found.value}, wanted {config.value}: not written, as it would change "
                f"{', '.join(foreign[:3])} too; start the director with --take-sysctls if it may"
            )
        else:
            changes.append(HostChange(key, config))
    return SysctlPlan(changes, problems)
