"""Reads the kernel at the start of a cycle."""

from collections.abc import Mapping, Sequence

from lvsctl.director.reconcile.desired import desired_keys
from lvsctl.director.reconcile.observation import Observation
from lvsctl.director.reconcile.probe_services import ProbeServices
from lvsctl.director.reconcile.settings import Target
from lvsctl.director.state import State
from lvsctl.director.vips.placements import Placements
from lvsctl.director.vips.plan import own_addresses
from lvsctl.host.interface import Host
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import ServiceKey


class Observer:
    """Reads the kernel; belongs to the reconciler's thread.

    Args:
        ipvs: The virtual services.
        host: Addresses and routes.
        placements: The VIPs.
        probes: The virtual services of health checks.
        targets: The settings.
    """

    def __init__(
        self,
        ipvs: Ipvs,
        host: Host,
        placements: Placements,
        probes: ProbeServices,
        targets: Sequence[Target],
    ) -> None:
        self._ipvs = ipvs
        self._host = host
        self._placements = placements
        self._probes = probes
        self._targets = targets

    def observe(
        self, state: State, dirty: frozenset[str] | None, claims: Mapping[ServiceKey, str]
    ) -> Observation:
        """Read what concerns the services of ``dirty``, or with None everything.

        Raises:
            KernelError: Something could not be read.
        """
        if dirty is None:
            return self._observe_everything(state, claims)
        ours = {key: name for key, name in claims.items() if name in dirty}
        table = self._ipvs.snapshot(desired_keys(state, dirty) | ours.keys())
        vips = frozenset(state.index.vips)
        placement = self._placements[state.farm.settings.vips]
        placement.observe(vips, None)
        return Observation(table, claims, ours, vips, placement.holds())

    def _observe_everything(self, state: State, claims: Mapping[ServiceKey, str]) -> Observation:
        farm = state.farm
        table = self._ipvs.snapshot()
        addresses = self._host.addresses()
        vips = frozenset(state.index.vips)
        placement = self._placements[farm.settings.vips]
        placement.observe(vips, addresses)
        probes = self._probes.observe(state.tunnel_paths, farm, table, addresses)
        return Observation(
            {key: each for key, each in table.items() if key not in probes.claims},
            claims,
            claims,
            vips,
            placement.holds(),
            probes,
            [target.observe(farm) for target in self._targets],
            own_addresses(addresses, self._host.gateways()),
        )
