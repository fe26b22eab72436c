"""What lvsctl asks of the family ``IPVS``: a generic netlink header and its attributes.

The values are taken to be within their ranges, see :mod:`lvsctl.ipvs.refusals`.
"""

from lvsctl.ipvs.codec.commands import GENERIC_HEADERS, Command
from lvsctl.ipvs.codec.destination import encode_destination, encode_destination_key
from lvsctl.ipvs.codec.service import encode_service, encode_service_key
from lvsctl.ipvs.codec.timeouts import encode_timeouts
from lvsctl.ipvs_table import (
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


def encode_operation(operation: Operation) -> bytes:
    """Return the payload of the message that carries out one operation."""
    match operation:
        case AddDestination(service, key, config):
            return (
                GENERIC_HEADERS[Command.NEW_DEST]
                + encode_service_key(service)
                + encode_destination(key, config)
            )
        case EditDestination(service, key, config):
            return (
                GENERIC_HEADERS[Command.SET_DEST]
                + encode_service_key(service)
                + encode_destination(key, config)
            )
        case DeleteDestination(service, destination):
            return (
                GENERIC_HEADERS[Command.DEL_DEST]
                + encode_service_key(service)
                + encode_destination_key(destination)
            )
        case AddService(service, service_config):
            return GENERIC_HEADERS[Command.NEW_SERVICE] + encode_service(service, service_config)
        case EditService(service, service_config):
            return GENERIC_HEADERS[Command.SET_SERVICE] + encode_service(service, service_config)
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
