"""Numbers of the generic netlink family ``IPVS``.

Source: ``include/uapi/linux/ip_vs.h``.
"""

import enum

from lvsctl.netlink.messages import GENERIC_HEADER

FAMILY_NAME = "IPVS"
_VERSION = 1


class Command(enum.IntEnum):
    """Commands (``IPVS_CMD_*``)."""

    NEW_SERVICE = 1
    SET_SERVICE = 2
    DEL_SERVICE = 3
    GET_SERVICE = 4
    NEW_DEST = 5
    SET_DEST = 6
    DEL_DEST = 7
    GET_DEST = 8
    SET_CONFIG = 12
    GET_CONFIG = 13


class CommandAttribute(enum.IntEnum):
    """Top-level attributes (``IPVS_CMD_ATTR_*``)."""

    SERVICE = 1
    DEST = 2
    TIMEOUT_TCP = 4
    TIMEOUT_TCP_FIN = 5
    TIMEOUT_UDP = 6


GENERIC_HEADERS = {command: GENERIC_HEADER.pack(command, _VERSION, 0) for command in Command}
