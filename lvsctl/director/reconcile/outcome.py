"""What a cycle has found and done, in the words of the farm. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from lvsctl.director.reconcile.cycle import Cycle, KeyState, KeyView
from lvsctl.director.reconcile.decision import Decision
from lvsctl.director.reconcile.tunnel_use import TunnelsInUse, together, tunnels_in_use
from lvsctl.director.reconcile.written import Written
from lvsctl.director.vips.interface import Placement
from lvsctl.host.interface import HostChange
from lvsctl.ipvs.table import (
    DeleteService,
    FwmarkKey,
    IpvsTable,
    Operation,
    ServiceKey,
    SetTimeouts,
    service_of,
)
from lvsctl.net import IPAddress, IpProtocol
from lvsctl.reasons import services as reasons
from lvsctl.reasons.reason import Reason
from lvsctl.results import Done


def cycle_of(
    decision: Decision,
    written: Written | None,
    placements: Mapping[IPAddress, Placement],
    *,
    vip_changes: Sequence[HostChange],
    warnings: Sequence[Reason],
    not_enforced: Reason | None,
) -> Cycle:
    """Return the account of a cycle.

    Args:
        decision: What was to be done.
        written: What was done; None where nothing might be written.
        placements: What is known of VIPs after it.
        vip_changes: What was planned for VIPs.
        warnings: What is wrong with the VIPs that are here.
        not_enforced: Why nothing might be written; None where it might.
    """
    observation, plan, probes = decision.observation, decision.plan, decision.probes
    whole = observation.whole
    vip_reasons = {vip: each.reason for vip, each in placements.items() if each.reason}
    if written is None:
        done, untried, why_untried = Written(), plan.operations, not_enforced
    else:
        done, untried, why_untried = written, written.untried, reasons.WAITS_FOR_VIP()
    undone = _undone(done, untried, why_untried)
    settings = [change for drift in decision.settings for change in drift.changes]
    timeouts = [each for each in settings if isinstance(each, SetTimeouts)]
    problems = chain(
        chain.from_iterable(drift.problems for drift in decision.settings),
        probes.problems if probes else (),
        done.problems,
        warnings,
    )
    return Cycle(
        revision=decision.state.revision,
        dirty=observation.dirty,
        completes_resync=bool(observation.whole),
        operations=(*timeouts, *plan.operations),
        results=(
            *((each, result) for each, result in done.settings if isinstance(each, SetTimeouts)),
            *done.table,
        ),
        host_changes=(
            *(each for each in settings if isinstance(each, HostChange)),
            *vip_changes,
        ),
        services=_services(decision, orphaned(decision, done), undone, vip_reasons),
        foreign=tuple(whole.inventory.foreign) if whole else (),
        vip_problems={vip: why for vip, why in vip_reasons.items() if not placements[vip].passing},
        host_problems=tuple(problems),
        orphaned=all_orphaned(decision, done),
        addresses_in_use=whole.addresses_in_use if whole else {},
        tunnels=_tunnels(decision),
        prepared_paths=probes.prepared if probes else {},
        mended_marks=_marks(probes.operations) if probes and written is not None else frozenset(),
        assumed_healthy=decision.assumed_healthy,
        health=decision.health,
    )


def orphaned(decision: Decision, written: Written) -> IpvsTable:
    """Return our services that are no longer in the farm but still in the kernel."""
    observed, deleted = decision.observation.table, written.done(DeleteService)
    return {
        key: observed[key]
        for key in decision.observation.ours
        if key in observed and key not in decision.desired.table and key not in deleted
    }


def all_orphaned(decision: Decision, written: Written) -> IpvsTable:
    """Return the same with those that were not observed this time."""
    ours = decision.observation.ours
    before = {key: each for key, each in decision.memory.orphaned.items() if key not in ours}
    return {**before, **orphaned(decision, written)}


def _tunnels(decision: Decision) -> TunnelsInUse:
    agents = decision.state.index.agents
    if not agents:
        return {}
    observation = decision.observation
    observed, whole = observation.table, observation.whole
    used = {key: observed[key] for key in observation.ours if key in observed}
    if whole and observation.dirty is None:
        used.update(whole.probes.observed)
    found = tunnels_in_use(used, agents)
    return together(found, whole.inventory.tunnels) if whole else found


def _marks(operations: Iterable[Operation]) -> frozenset[FwmarkKey]:
    keys = map(service_of, operations)
    return frozenset(key for key in keys if isinstance(key, FwmarkKey))


def _undone(
    written: Written, untried: Sequence[Operation], why_untried: Reason | None
) -> Mapping[ServiceKey, Reason]:
    """Return, for each key that is not as planned, the first operation that was not done."""
    found: dict[ServiceKey, Reason] = {}
    for operation, result in written.table:
        key = service_of(operation)
        if key is not None and key not in found and not isinstance(result, Done):
            found[key] = reasons.OPERATION_FAILED(key, operation=operation, result=result)
    for operation in untried:
        key = service_of(operation)
        if key is not None and key not in found:
            found[key] = reasons.OPERATION_WAITS(key, operation=operation, why=why_untried)
    return found


def _services(
    decision: Decision,
    orphaned_now: IpvsTable,
    undone: Mapping[ServiceKey, Reason],
    vip_reasons: Mapping[IPAddress, Reason],
) -> Mapping[ServiceKey, KeyView]:
    owners = {**decision.observation.ours, **decision.desired.owners}
    conflicts, services = frozenset(decision.plan.conflicts), decision.state.farm.services

    def view(key: ServiceKey) -> KeyView:
        owner = owners[key]
        if key in conflicts:
            return KeyView(owner, KeyState.CONFLICT, _conflict(key, owner))
        if key in decision.held:
            return KeyView(owner, KeyState.HELD, reasons.HELD(key, service=owner))
        service = services.get(owner)
        why = undone.get(key) or (vip_reasons.get(service.vip) if service else None)
        return KeyView(owner, KeyState.PENDING if why else KeyState.APPLIED, why)

    return {key: view(key) for key in (*decision.desired.table, *orphaned_now)}


def _conflict(key: ServiceKey, owner: str) -> Reason:
    return reasons.CONFLICT(key, service=owner, deletion=_deletion(key))


def _deletion(key: ServiceKey) -> str:
    if isinstance(key, FwmarkKey):
        return f"ipvsadm -D -f {key.mark}"
    option = {IpProtocol.TCP: "-t", IpProtocol.UDP: "-u", IpProtocol.SCTP: "--sctp-service"}
    return f"ipvsadm -D {option[key.protocol]} {str(key).split()[1]}"
