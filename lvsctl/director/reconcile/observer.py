"""Reads the kernel at the start of a cycle."""

from collections.abc import Mapping, Sequence

from lvsctl.director.reconcile.desired import desired_keys
from lvsctl.director.reconcile.observation import Inventory, Observation, Whole
from lvsctl.director.reconcile.probe_services import ProbeServices
from lvsctl.director.reconcile.resync import Resync
from lvsctl.director.reconcile.settings import Target
from lvsctl.director.state import State
from lvsctl.director.vips.interface import VipPlacement
from lvsctl.director.vips.placements import Placements
from lvsctl.director.vips.plan import Addresses, own_addresses
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
        self._placement(state).observe(frozenset(state.index.vips), None)
        return self._observe_some(state, dirty, claims, None)

    def conclude(
        self,
        state: State,
        names: frozenset[str],
        claims: Mapping[ServiceKey, str],
        resync: Resync,
    ) -> Observation:
        """Read what is left when everything was compared.

        Args:
            state: What should be.
            names: Services of which more is to be known than that they differ.
            claims: The farm's service for each of our keys.
            resync: What was found until now.

        Raises:
            KernelError: Something could not be read.
        """
        addresses = self._host.addresses()
        self._placement(state).observe(frozenset(state.index.vips), addresses)
        whole = self._whole(state, resync.inventory, addresses)
        return self._observe_some(state, names | self.unplaced(state), claims, whole)

    def unplaced(self, state: State) -> frozenset[str]:
        """Return the services whose VIP is not where it should be, or not without a problem."""
        services = state.index.vips
        return frozenset(
            name
            for vip, placement in self._placement(state).holds().items()
            if placement.reason or not placement.is_placed
            for name in services.get(vip, ())
        )

    def _observe_some(
        self,
        state: State,
        names: frozenset[str],
        claims: Mapping[ServiceKey, str],
        whole: Whole | None,
    ) -> Observation:
        ours = {key: name for key, name in claims.items() if name in names}
        # A key that another service has taken over is not to be deleted for want of its first one.
        wanted_by = state.index.keys
        names |= {name for key in ours for name in wanted_by.get(key, ())}
        table = self._ipvs.snapshot(desired_keys(state, names) | ours.keys())
        vips, placements = frozenset(state.index.vips), self._placement(state).holds()
        return Observation(names, table, claims, ours, vips, placements, whole)

    def _observe_everything(self, state: State, claims: Mapping[ServiceKey, str]) -> Observation:
        observed = self._ipvs.snapshot()
        addresses = self._host.addresses()
        vips, placement = frozenset(state.index.vips), self._placement(state)
        placement.observe(vips, addresses)
        probes = self._probes.keys
        table = {key: each for key, each in observed.items() if key not in probes}
        foreign = [key for key in table if key not in claims and key not in state.index.keys]
        whole = self._whole(state, Inventory(table.keys(), foreign, observed), addresses)
        return Observation(None, table, claims, claims, vips, placement.holds(), whole)

    def _whole(self, state: State, inventory: Inventory, addresses: Addresses) -> Whole:
        farm = state.farm
        return Whole(
            inventory,
            self._probes.observe(state.tunnel_paths, farm, inventory.probes, addresses),
            [target.observe(farm) for target in self._targets],
            own_addresses(addresses, self._host.gateways()),
        )

    def _placement(self, state: State) -> VipPlacement:
        return self._placements[state.farm.settings.vips]
