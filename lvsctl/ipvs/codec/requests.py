"""What lvsctl asks of the family ``IPVS``: a generic netlink header and its attributes.

The values are taken to be within their ranges, see :mod:`lvsctl.ipvs.validation`.
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
    """Return the payload of the message that carries out one operation."""
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
    """Return the payload that asks for all services, as a dump."""
    return GENERIC_HEADERS[Command.GET_SERVICE]


def service_request(key: ServiceKey) -> bytes:
    """Return the payload that asks for one service; ESRCH where it is missing."""
    return GENERIC_HEADERS[Command.GET_SERVICE] + encode_service_key(key)


def destinations_request(key: ServiceKey) -> bytes:
    """Return the payload that asks for a service's destinations, as a dump.

    A service that does not exist has an empty one.
    """
    return GENERIC_HEADERS[Command.GET_DEST] + encode_service_key(key)


def timeouts_request() -> bytes:
    """Return the payload that asks for the idle times."""
    return GENERIC_HEADERS[Command.GET_CONFIG]
