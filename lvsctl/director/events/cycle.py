"""Derives events from cycles and commits. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TypeVar

from lvsctl.director.reconcile.cycle import Cycle, KernelView, KeyState, ServiceHealth
from lvsctl.director.state import server_id
from lvsctl.director.write.advance import Advance
from lvsctl.director.write.edits import describe_changes
from lvsctl.events import MAX_ITEMS, Event, EventKind
from lvsctl.farm.objects import Kind
from lvsctl.farm.status import Override
from lvsctl.ipvs.table import Operation, service_of
from lvsctl.reasons import servers, services
from lvsctl.reasons.reason import Reason
from lvsctl.results import Done, Result, Skipped
from lvsctl.times import format_utc

ItemT = TypeVar("ItemT")


def cycle_events(before: KernelView, cycle: Cycle, after: KernelView) -> Iterator[Event]:
    """Yield the events of a cycle.

    Operations are drift if neither the farm nor the health of servers has changed since the kernel
    was last as desired: then another program changed the kernel.
    """
    drift: list[Operation] = []
    asked: list[Operation] = []
    for operation, result in cycle.results:
        if isinstance(result, Done):
            (drift if _was_right(operation, before, cycle) else asked).append(operation)
    yield from _listed(EventKind.DRIFT, "put right what somebody else changed", drift)
    yield from _listed(EventKind.KERNEL_CHANGED, "changed the IPVS table", asked)
    refused = [
        (operation, result)
        for operation, result in cycle.results
        if not isinstance(result, Done | Skipped) and not _was_told(operation, before, after)
    ]
    yield from _listed(
        EventKind.KERNEL_REFUSED, "the kernel refused operations", refused, _with_result
    )
    yield from view_events(before, after, cycle.dirty)


def _was_right(operation: Operation, before: KernelView, cycle: Cycle) -> bool:
    if before.revision != cycle.revision or before.error:
        return False
    key = service_of(operation)
    if key is None:
        return cycle.is_complete
    seen = before.services.get(key)
    return (
        seen is not None
        and seen.state is KeyState.APPLIED
        and _follows(before.health.get(seen.service)) == _follows(cycle.health.get(seen.service))
    )


def _follows(health: ServiceHealth | None) -> tuple[Mapping[str, int | None], bool] | None:
    """Return the part of a service's table that depends on health."""
    return (health.weights, health.sorry) if health else None


def _was_told(operation: Operation, before: KernelView, after: KernelView) -> bool:
    """Tell whether the last cycle had the same problem, so that a retry emits no event."""
    key = service_of(operation)
    if key is None:
        return False
    seen = before.services.get(key)
    return seen is not None and bool(seen.reason) and seen == after.services.get(key)


def _with_result(refused: tuple[Operation, Result]) -> str:
    operation, result = refused
    return f"{operation}: {result}"


def _listed(
    kind: EventKind, what: str, items: Sequence[ItemT], text: Callable[[ItemT], str] = str
) -> Iterator[Event]:
    """Yield an event about items, if there are any; only the items it names are formatted."""
    if items:
        first = tuple(map(text, items[:MAX_ITEMS]))
        yield Event(kind, detail=f"{what}: {len(items)}", items=first)


def view_events(
    before: KernelView, after: KernelView, names: frozenset[str] | None = None
) -> Iterator[Event]:
    """Yield problems that are new, and problems that have ended.

    Args:
        before: The view before the cycle.
        after: The view after it.
        names: The services whose view may have changed; None for all.
    """
    if after.error and not before.error:
        yield Event(EventKind.KERNEL_UNREADABLE, detail=str(after.error), code=after.error.code)
    if before.error and not after.error:
        yield Event(EventKind.KERNEL_READABLE, detail="the kernel can be compared again")
    yield from _differences(
        _conflicts(before, names),
        _conflicts(after, names),
        EventKind.CONFLICT,
        EventKind.CONFLICT_OVER,
    )
    yield from _differences(
        {str(vip): why for vip, why in before.vips.items()},
        {str(vip): why for vip, why in after.vips.items()},
        EventKind.VIP_PROBLEM,
        EventKind.VIP_PROBLEM_OVER,
    )
    yield from _host_events(before.host, after.host)
    yield from _health_events(_health(before, names), _health(after, names))


def _health(view: KernelView, names: frozenset[str] | None) -> Mapping[str, ServiceHealth]:
    if names is None:
        return view.health
    return {name: view.health[name] for name in names if name in view.health}


def _health_events(
    before: Mapping[str, ServiceHealth], after: Mapping[str, ServiceHealth]
) -> Iterator[Event]:
    """Yield when panic, sorry server or quorum of a service begin or end."""
    exceptions: Sequence[tuple[Callable[[ServiceHealth], Reason | None], EventKind, EventKind]] = (
        (lambda health: health.panic, EventKind.PANIC, EventKind.PANIC_OVER),
        (
            lambda health: servers.SORRY() if health.sorry else None,
            EventKind.SORRY_SERVER,
            EventKind.SORRY_SERVER_OVER,
        ),
        (_lost_quorum, EventKind.QUORUM_LOST, EventKind.QUORUM_BACK),
    )
    for why, began, ended in exceptions:
        was, now = (
            {name: reason for name, health in healths.items() if (reason := why(health))}
            for healths in (before, after)
        )
        yield from _differences(was, now, began, ended)


def _lost_quorum(health: ServiceHealth) -> Reason | None:
    if health.lost_quorum and health.withdrawn:
        return services.WITHDRAWN_FOR_QUORUM(health.lost_quorum.subject, why=health.lost_quorum)
    return health.lost_quorum


def _conflicts(view: KernelView, names: frozenset[str] | None) -> Mapping[str, Reason]:
    of_names = (
        view.services.items()
        if names is None
        else chain.from_iterable(map(view.of_service, sorted(names)))
    )
    return {
        str(key): seen.reason
        for key, seen in of_names
        if seen.reason and seen.state is KeyState.CONFLICT
    }


def _differences(
    before: Mapping[str, Reason], after: Mapping[str, Reason], began: EventKind, ended: EventKind
) -> Iterator[Event]:
    for subject, why in after.items():
        if before.get(subject) != why:
            yield Event(began, subject, str(why), code=why.code)
    for subject, why in before.items():
        if subject not in after:
            yield Event(ended, subject, f"no longer: {why}", code=why.code)


def _host_events(before: Collection[Reason], after: Collection[Reason]) -> Iterator[Event]:
    for why in dict.fromkeys(after):
        if why not in before:
            yield Event(EventKind.HOST_PROBLEM, detail=str(why), code=why.code)
    for why in dict.fromkeys(before):
        if why not in after:
            detail = f"no longer: {why}"
            yield Event(EventKind.HOST_PROBLEM_OVER, detail=detail, code=why.code)


def stored_events(step: Advance) -> Iterator[Event]:
    """Yield the changes of a commit, and changes of administrative states."""
    first = dict(islice(step.changes.items(), MAX_ITEMS))
    yield Event(
        EventKind.STORED,
        f"revision {step.after.revision}",
        f"changed objects: {len(step.changes)}",
        describe_changes(step.before, first),
        step.by,
    )
    changed = (each.name for each in step.changes if each.kind is Kind.OVERRIDE)
    for server in sorted(map(server_id, changed)):
        override = step.after.status.overrides.get(server)
        if override != step.before.status.overrides.get(server):
            yield Event(EventKind.SERVER_STATE, str(server), _standing(override), by=step.by)


def _standing(override: Override | None) -> str:
    if override is None:
        return "enabled, as it is declared"
    weight = "" if override.weight is None else f", weight {override.weight}"
    until = f" until {format_utc(override.deadline.at)}" if override.deadline else ""
    reason = f": {override.reason}" if override.reason else ""
    return f"{override.state}{until}{weight}{reason}"
