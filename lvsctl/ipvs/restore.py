"""Which operations of a batch took effect, judged by the table before and after.

For ``ipvsadm -R``, which does not say which of its lines was refused.
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


def traceable_runs(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Split operations so that what a run leaves undone can be seen, and tried again, at its end.

    So nothing is touched twice in a run, and a service neither appears nor disappears before or
    after another operation on it: that one, tried again, would meet something else.
    """
    run: list[Operation] = []
    subjects: set[object] = set()
    services: set[ServiceKey | None] = set()
    changing: set[ServiceKey | None] = set()
    for operation in operations:
        subject, service = _subject(operation), service_of(operation)
        changes = isinstance(operation, AddService | DeleteService)
        if subject in subjects or service in changing or (changes and service in services):
            yield run
            run, subjects, services, changing = [], set(), set(), set()
        run.append(operation)
        subjects.add(subject)
        services.add(service)
        if changes:
            changing.add(service)
    if run:
        yield run


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
    """Return whether two tables show that an operation of one run was carried out.

    Not shown is what leaves no trace: it may be carried out once more without harm.
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
