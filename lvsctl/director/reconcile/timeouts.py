"""The idle times of connections, which IPVS has once for the network namespace."""

from collections.abc import Sequence

from lvsctl.director.reconcile.settings import Difference, Drift, SettingChange
from lvsctl.farm.compile import diff_timeouts
from lvsctl.farm.model import Farm
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import SetTimeouts
from lvsctl.results import Result


class TimeoutTarget:
    """Keeps the idle times as the farm asks.

    Args:
        ipvs: Where they are.
    """

    def __init__(self, ipvs: Ipvs) -> None:
        self._ipvs = ipvs

    def observe(self, farm: Farm) -> Drift:
        """Compare the idle times with those that the farm asks for."""
        changes = diff_timeouts(farm, self._ipvs.timeouts())
        return Drift([Difference(change, str(change)) for change in changes])

    def apply(self, changes: Sequence[SettingChange]) -> Sequence[Result]:
        """Set idle times."""
        return self._ipvs.apply([each for each in changes if isinstance(each, SetTimeouts)])
