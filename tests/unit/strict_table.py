"""A strict interpreter of operations, so that a plan is judged by what it would really do."""

from collections.abc import Sequence
from dataclasses import replace

from lvsctl.ipvs.table import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    EditDestination,
    EditService,
    IpvsTable,
    Operation,
    VirtualService,
)


class Refused(AssertionError):
    """The kernel would refuse this operation: EEXIST or ENOENT."""


def apply(table: IpvsTable, operation: Operation) -> IpvsTable:
    """Return the table after one operation, or raise where it does not fit."""
    result = dict(table)
    match operation:
        case AddService(key=key, config=config):
            _require(key not in result, operation)
            result[key] = VirtualService(config, {})
        case EditService(key=key, config=config):
            _require(key in result, operation)
            result[key] = replace(result[key], config=config)
        case DeleteService(key=key):
            _require(key in result, operation)
            del result[key]
        case AddDestination() | EditDestination() | DeleteDestination():
            _require(operation.service in result, operation)
            service = result[operation.service]
            destinations = dict(service.destinations)
            stands = operation.key in destinations
            _require(stands is not isinstance(operation, AddDestination), operation)
            if isinstance(operation, DeleteDestination):
                del destinations[operation.key]
            else:
                destinations[operation.key] = operation.config
            result[operation.service] = replace(service, destinations=destinations)
        case _:
            raise Refused(f"{operation} is not about the table")
    return result


def steps(table: IpvsTable, operations: Sequence[Operation]) -> Sequence[IpvsTable]:
    """Return the table before, between and after operations."""
    tables = [table]
    for operation in operations:
        tables.append(apply(tables[-1], operation))
    return tables


def _require(fits: bool, operation: Operation) -> None:  # noqa: FBT001 - a condition
    if not fits:
        raise Refused(str(operation))
