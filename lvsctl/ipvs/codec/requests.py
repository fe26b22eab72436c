"""Encodes requests to the family ``IPVS``: a generic netlink header and its attributes.

Values must be within their ranges, see :mod:`lvsctl.ipvs.validation`.
"""

from lvsctl.ipvs.codec.commands import GENERIC_HEADERS, Command
from lvsctl.ipvs.codec.destination import encode_destination, encode_destination_key
from lvsctl.ipvs.codec.service import encode_service, encode_service_key
from lvsctl.ipvs.codec.timeouts import encode_timeouts
from lvsctl.ipvs.table import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    EditDestination,
    EditService,
    Operation,
    ServiceKey,
    SetTimeouts,
)

_NEW_DEST, _SET_DEST = GENERIC_HEADERS[Command.NEW_DEST], GENERIC_HEADERS[Command.SET_DEST]


def encode_operation(operation: Operation) -> bytes:
    """Return the payload of the request that carries out an operation."""
    match operation:
        case AddDestination() | EditDestination():
            return (
                (_NEW_DEST if isinstance(operation, AddDestination) else _SET_DEST)
                + encode_service_key(operation.service)
                + encode_destination(operation.key, operation.config)
            )
        case DeleteDestination():
            return (
                GENERIC_HEADERS[Command.DEL_DEST]
                + encode_service_key(operation.service)
                + encode_destination_key(operation.key)
            )
        case AddService(service, config):
            return GENERIC_HEADERS[Command.NEW_SERVICE] + encode_service(service, config)
        case EditService(service, config):
            return GENERIC_HEADERS[Command.SET_SERVICE] + encode_service(service, config)
        case DeleteService(service):
            return GENERIC_HEADERS[Command.DEL_SERVICE] + encode_service_key(service)
        case SetTimeouts(timeouts):
            return GENERIC_HEADERS[Command.SET_CONFIG] + encode_timeouts(timeouts)


def services_request() -> bytes:
    """Return the payload of a dump request for all services."""
    return GENERIC_HEADERS[Command.GET_SERVICE]


def service_request(key: ServiceKey) -> bytes:
    """Return the payload of a request for one service; the answer is ESRCH if it does not exist."""
    return GENERIC_HEADERS[Command.GET_SERVICE] + encode_service_key(key)


def destinations_request(key: ServiceKey) -> bytes:
    """Return the payload of a dump request for a service's destinations.

    The dump is empty if the service does not exist.
    """
    return GENERIC_HEADERS[Command.GET_DEST] + encode_service_key(key)


def timeouts_request() -> bytes:
    """Return the payload of a request for the idle timeouts."""
    return GENERIC_HEADERS[Command.GET_CONFIG]
