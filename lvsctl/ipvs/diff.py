"""From one IPVS table to another.

:func:`diff` says which operations lead from the table as it is to the table as it should be. Pure;
its laws are in ``tests/unit/test_plan.py``.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lvsctl.ipvs.table import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    EditDestination,
    EditService,
    IpvsTable,
    Operation,
    ServiceKey,
    VirtualService,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What leads from one table to another.

    Attributes:
        operations: In the order in which they are to be done.
        conflicts: Wanted keys that stand already and are not ours.
        foreign: Keys that stand, are not ours and are not wanted.
    """

    operations: Sequence[Operation]
    conflicts: Sequence[ServiceKey]
    foreign: Sequence[ServiceKey]


def diff(wanted: IpvsTable, observed: IpvsTable, claimed: Collection[ServiceKey]) -> Plan:
    """Return what leads from ``observed`` to ``wanted``, touching only what is ours.

    New services come first and services no longer wanted last, so that a changed VIP serves
    before the old one is gone. Within a service destinations are added, then edited, then
    deleted: one that stays is never taken out, and there is never a moment with fewer servers
    than necessary.

    Args:
        wanted: The table as it should be.
        observed: The table as it is.
        claimed: Keys that are ours; every destination of such a service is.
    """
    added: list[Operation] = []
    edited: list[Operation] = []
    deleted: list[Operation] = []
    conflicts: list[ServiceKey] = []
    for key in sorted(wanted, key=lambda key: key.sort_key):
        if key not in observed:
            added += _add(key, wanted[key])
        elif key in claimed:
            edited += _edit(key, wanted[key], observed[key])
        else:
            conflicts.append(key)
    foreign: list[ServiceKey] = []
    for key in sorted(observed.keys() - wanted.keys(), key=lambda key: key.sort_key):
        if key in claimed:
            deleted.append(DeleteService(key))
        else:
            foreign.append(key)
    return Plan(added + edited + deleted, conflicts, foreign)


def _add(key: ServiceKey, service: VirtualService) -> Iterator[Operation]:
    yield AddService(key, service.config)
    for destination, config in service.destinations.items():
        yield AddDestination(key, destination, config)


def _edit(key: ServiceKey, wanted: VirtualService, observed: VirtualService) -> Iterator[Operation]:
    if wanted.config != observed.config:
        yield EditService(key, wanted.config)
    if wanted.destinations == observed.destinations:
        return
    for destination, config in wanted.destinations.items():
        if destination not in observed.destinations:
            yield AddDestination(key, destination, config)
    for destination, config in wanted.destinations.items():
        if destination in observed.destinations and observed.destinations[destination] != config:
            yield EditDestination(key, destination, config)
    for destination in observed.destinations:
        if destination not in wanted.destinations:
            yield DeleteDestination(key, destination)
