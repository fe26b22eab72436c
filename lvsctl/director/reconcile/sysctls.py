"""The IPVS parameters of the director's network namespace."""

from collections.abc import Sequence

from lvsctl.director.reconcile.settings import Difference, Drift, SettingChange
from lvsctl.farm.model import Farm, Settings
from lvsctl.host.interface import Host, HostChange, HostState, SysctlConfig, SysctlKey
from lvsctl.reasons import services as reasons
from lvsctl.results import Result


class SysctlTarget:
    """Keeps the parameters as the farm asks.

    Args:
        host: Where they are.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def observe(self, farm: Farm) -> Drift:
        """Compare the parameters with those that the farm asks for."""
        wanted = wanted_sysctls(farm.settings)
        return diff_sysctls(wanted, self._host.observe(wanted.keys()))

    def apply(self, changes: Sequence[SettingChange]) -> Sequence[Result]:
        """Write parameters."""
        # A change that fails must not keep the others from being made: one call for each.
        return [self._host.apply([each])[0] for each in changes if isinstance(each, HostChange)]


def wanted_sysctls(settings: Settings) -> HostState:
    """Return the parameters that the farm asks for."""
    return {
        SysctlKey(("net", "ipv4", "vs", name)): SysctlConfig(str(value))
        for name, value in settings.effective_sysctls.items()
    }


def diff_sysctls(wanted: HostState, observed: HostState) -> Drift:
    """Compare parameters; one that this kernel does not know (None) is a problem."""
    differences: list[Difference] = []
    problems = []
    for key, config in wanted.items():
        found = observed.get(key)
        if found == config or not isinstance(config, SysctlConfig):
            continue
        if isinstance(found, SysctlConfig):
            summary = f"{key} is {found.value}, wanted {config.value}"
            differences.append(Difference(HostChange(key, config), summary))
        else:
            problems.append(reasons.SYSCTL_MISSING(key, value=config.value))
    return Drift(differences, problems)
