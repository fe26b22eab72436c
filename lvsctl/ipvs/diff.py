"""Compares the desired IPVS table with the observed one. Pure.

The properties of :func:`diff` are in ``tests/unit/ipvs/test_diff.py``.
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
    """The difference between two tables.

    Attributes:
        operations: What makes the observed table the desired one, in order.
        conflicts: Desired keys that exist already, but are not claimed by lvsctl.
        foreign: Other keys that exist and are not claimed by lvsctl.
    """

    operations: Sequence[Operation]
    conflicts: Sequence[ServiceKey]
    foreign: Sequence[ServiceKey]


def diff(desired: IpvsTable, observed: IpvsTable, claimed: Collection[ServiceKey]) -> Plan:
    """Return the operations that turn ``observed`` into ``desired``; they touch only claimed keys.

    Services are added first and deleted last, so that when a VIP changes, the new one serves before
    the old one is gone. Within a service, destinations are added, then edited, then deleted, so
    that there are never fewer servers than necessary.

    Args:
        desired: The table as it should be.
        observed: The table as it is.
        claimed: Keys owned by lvsctl, with all of their destinations.
    """
    added: list[Operation] = []
    edited: list[Operation] = []
    deleted: list[Operation] = []
    conflicts: list[ServiceKey] = []
    for key in sorted(desired, key=lambda key: key.sort_key):
        if key not in observed:
            added += _add(key, desired[key])
        elif key in claimed:
            edited += _edit(key, desired[key], observed[key])
        else:
            conflicts.append(key)
    foreign: list[ServiceKey] = []
    for key in sorted(observed.keys() - desired.keys(), key=lambda key: key.sort_key):
        if key in claimed:
            deleted.append(DeleteService(key))
        else:
            foreign.append(key)
    return Plan(added + edited + deleted, conflicts, foreign)


def _add(key: ServiceKey, service: VirtualService) -> Iterator[Operation]:
    yield AddService(key, service.config)
    for destination, config in service.destinations.items():
        yield AddDestination(key, destination, config)


def _edit(
    key: ServiceKey, desired: VirtualService, observed: VirtualService
) -> Iterator[Operation]:
    if desired.config != observed.config:
        yield EditService(key, desired.config)
    if desired.destinations == observed.destinations:
        return
    for destination, config in desired.destinations.items():
        if destination not in observed.destinations:
            yield AddDestination(key, destination, config)
    for destination, config in desired.destinations.items():
        if destination in observed.destinations and observed.destinations[destination] != config:
            yield EditDestination(key, destination, config)
    for destination in observed.destinations:
        if destination not in desired.destinations:
            yield DeleteDestination(key, destination)
