"""Finds out which operations of ``ipvsadm -R`` took effect.

ipvsadm does not say which of its lines failed, so the tables before and after are compared.
"""

from collections.abc import Iterator, Mapping, Sequence

from lvsctl.ipvs.table import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    EditService,
    IpvsTable,
    Operation,
    ServiceKey,
    SetTimeouts,
    service_of,
)


def split_verifiable(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Split operations into groups after which each failed operation can be seen and repeated.

    Within a group, no object is touched twice, and the add or delete of a service is the only
    operation on it: otherwise a repeated operation would find another state than the first time.
    """
    group: list[Operation] = []
    subjects: set[object] = set()
    services: set[ServiceKey | None] = set()
    changing: set[ServiceKey | None] = set()
    for operation in operations:
        subject, service = _subject(operation), service_of(operation)
        changes = isinstance(operation, AddService | DeleteService)
        if subject in subjects or service in changing or (changes and service in services):
            yield group
            group, subjects, services, changing = [], set(), set(), set()
        group.append(operation)
        subjects.add(subject)
        services.add(service)
        if changes:
            changing.add(service)
    if group:
        yield group


def _subject(operation: Operation) -> object:
    match operation:
        case (
            AddDestination(service=service, key=key)
            | EditDestination(service=service, key=key)
            | DeleteDestination(service=service, key=key)
        ):
            return service, key
        case _:
            return service_of(operation)


def took_effect(operation: Operation, before: IpvsTable, after: IpvsTable) -> bool:
    """Tell whether the tables before and after a group show that an operation was carried out.

    False also for an operation that leaves no trace; repeating it does no harm.
    """
    match operation:
        case AddService(key):
            return key not in before and key in after
        case EditService(key, config):
            return key in after and after[key].config == config
        case DeleteService(key):
            return key in before and key not in after
        case AddDestination(service, destination):
            return destination not in _of(before, service) and destination in _of(after, service)
        case EditDestination(service, destination, destination_config):
            return _of(after, service).get(destination) == destination_config
        case DeleteDestination(service, destination):
            return destination in _of(before, service) and destination not in _of(after, service)
        case SetTimeouts():
            return False


def _of(table: IpvsTable, service: ServiceKey) -> Mapping[DestinationKey, DestinationConfig]:
    return table[service].destinations if service in table else {}
