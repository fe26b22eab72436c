"""What a cycle writes, phase by phase.

The phases depend on each other, so their order is part of the design:

1. probe services: a mark that they give up may be a service's from now on;
2. settings: they should hold before the first packet meets a new service;
3. VIPs that go: a VIP without its service would expose this host's own listeners;
4. the table;
5. VIPs that come: only now are their services there.
"""

from collections.abc import Sequence
from dataclasses import replace

from lvsctl.director.reconcile.decision import Decision
from lvsctl.director.reconcile.probe_services import ProbeServices
from lvsctl.director.reconcile.settings import SettingChange, Target
from lvsctl.director.reconcile.table import TableWriter
from lvsctl.director.reconcile.written import Written
from lvsctl.director.vips.interface import VipPlacement
from lvsctl.director.vips.placements import Placements
from lvsctl.ipvs.table import AddressKey, AddService, DeleteService, Operation, ServiceKey
from lvsctl.reasons import services as reasons
from lvsctl.results import Done, Result


class Phases:
    """Writes decisions; belongs to the reconciler's thread.

    Args:
        probes: The virtual services of health checks.
        targets: The settings, in the order in which they were observed.
        placements: The VIPs.
        table: The farm's virtual services.
    """

    def __init__(
        self,
        probes: ProbeServices,
        targets: Sequence[Target],
        placements: Placements,
        table: TableWriter,
    ) -> None:
        self._probes = probes
        self._targets = targets
        self._placements = placements
        self._table = table

    def run(self, decision: Decision) -> Written:
        """Carry out a decision.

        Raises:
            KernelError: The kernel refused everything.
            StoreError: Something could not be made durable; it was not written.
        """
        written = Written()
        for phase in (
            self._write_probe_services,
            self._write_settings,
            self._withdraw_vips,
            self._write_table,
            self._place_vips,
        ):
            written = phase(decision, written)
        return written

    def _write_probe_services(self, decision: Decision, written: Written) -> Written:
        if decision.probes is None:
            return written
        refused = self._probes.write(decision.probes)
        return replace(written, problems=(*written.problems, *refused))

    def _write_settings(self, decision: Decision, written: Written) -> Written:
        results: list[tuple[SettingChange, Result]] = []
        for target, drift in zip(self._targets, decision.settings, strict=False):
            results += zip(drift.changes, target.apply(drift.changes), strict=True)
        refused = [
            reasons.SETTING_REFUSED(change=change, result=result)
            for change, result in results
            if result != Done()
        ]
        return replace(written, problems=(*written.problems, *refused), settings=results)

    def _withdraw_vips(self, decision: Decision, written: Written) -> Written:
        for owner, placement in self._placements.items():
            if owner is not decision.vip_owner:
                placement.hand_over()
        self._placement(decision).ensure(decision.vips, decision.serving().vips)
        return written

    def _write_table(self, decision: Decision, written: Written) -> Written:
        placement = self._placement(decision)
        tried: list[Operation] = []
        untried: list[Operation] = []
        for operation in decision.plan.operations:
            waits = isinstance(operation, DeleteService) and _exposes(
                operation.key, decision, placement
            )
            (untried if waits else tried).append(operation)
        return replace(written, table=self._table.write(decision, tried), untried=untried)

    def _place_vips(self, decision: Decision, written: Written) -> Written:
        served = decision.serving(written.done(AddService)).vips
        self._placement(decision).ensure(decision.vips, served)
        return written

    def _placement(self, decision: Decision) -> VipPlacement:
        return self._placements[decision.vip_owner]


def _exposes(key: ServiceKey, decision: Decision, placement: VipPlacement) -> bool:
    """Tell whether the deletion of a service would leave its VIP here without it."""
    return (
        isinstance(key, AddressKey)
        and key.vip not in decision.vips
        and not placement.withdrawn(key.vip)
    )
