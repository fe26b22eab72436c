"""The UDP ports on which the kernel unwraps packets, over generic netlink.

Source: ``include/uapi/linux/fou.h``, ``net/ipv4/fou.c``.
"""

import errno
import os
from collections.abc import Mapping
from contextlib import closing

from lvsctl.errors import KernelError
from lvsctl.host.fou_ports import port_in_use_message, port_invalid_reason, port_open_message
from lvsctl.host.interface import FouPortConfig, FouPortKey
from lvsctl.host.modules import load_module
from lvsctl.net import Family
from lvsctl.netlink.attributes import PORT, U8, attribute, number, parse_attributes
from lvsctl.netlink.genetlink import GenericNetlinkSocket, RequestRefused
from lvsctl.netlink.messages import GENERIC_HEADER
from lvsctl.results import Done, Failed, Result

_FAMILY_NAME = "fou"
_MODULE = "fou"
_ADD, _DELETE, _GET = 1, 2, 3
_PORT, _FAMILY, _PROTOCOL, _TYPE = 1, 2, 3, 4
_DIRECT, _GUE = 1, 2


def fou_ports() -> Mapping[FouPortKey, FouPortConfig]:
    """Return every port of the calling thread's network namespace.

    Raises:
        KernelError: They cannot be read.
    """
    try:
        with closing(GenericNetlinkSocket(_FAMILY_NAME)) as kernel:
            answers = kernel.dump(_request(_GET)).answers
    except RequestRefused as error:
        if error.errno == errno.ENOENT:  # without the module there are none
            return {}
        raise KernelError(f"fou ports cannot be read: {error}") from error
    return dict(map(parse_port, answers))


def set_fou_port(key: FouPortKey, wanted: FouPortConfig | None) -> Result:
    """Open a port, or with None close it."""
    present = fou_ports().get(key)
    if present == wanted:
        return Done()
    if wanted is None:
        return _send(_request(_DELETE, _encode_key(key)), key)
    unfit = port_invalid_reason(key, wanted)
    if unfit is not None:
        return Failed(errno.EINVAL, unfit)
    if present is not None:
        return Failed(errno.EEXIST, port_open_message(key, present))
    load_module(_MODULE)
    return _send(_request(_ADD, _encode_key(key) + _encode_config(wanted)), key)


def _send(request: bytes, key: FouPortKey) -> Result:
    try:
        with closing(GenericNetlinkSocket(_FAMILY_NAME)) as kernel:
            (ack,) = kernel.batch([request])
    except RequestRefused as error:
        if error.errno != errno.ENOENT:
            raise
        message = (
            f"{key}: the kernel has no module {_MODULE}, or modprobe {_MODULE} may not load it"
        )
        return Failed(errno.EOPNOTSUPP, message)
    if ack is None:
        raise KernelError(f"{key}: the kernel's answer was lost")
    if ack.errno == errno.EADDRINUSE:
        return Failed(errno.EADDRINUSE, port_in_use_message(key))
    if ack.errno:
        return Failed(ack.errno, f"{key}: {ack.message or os.strerror(ack.errno)}")
    return Done()


def _request(command: int, attributes: bytes = b"") -> bytes:
    return GENERIC_HEADER.pack(command, 1, 0) + attributes


def _encode_key(key: FouPortKey) -> bytes:
    return attribute(_PORT, PORT.pack(key.port)) + attribute(_FAMILY, U8.pack(key.family))


def _encode_config(config: FouPortConfig) -> bytes:
    if config.gue:  # the kernel refuses protocol 0
        return attribute(_TYPE, U8.pack(_GUE))
    return attribute(_TYPE, U8.pack(_DIRECT)) + attribute(_PROTOCOL, U8.pack(config.protocol))


def parse_port(payload: bytes) -> tuple[FouPortKey, FouPortConfig]:
    """Decode one port of the kernel's answer.

    Raises:
        MalformedMessage: It is none.
    """
    attributes = parse_attributes(payload, GENERIC_HEADER.size)
    family = Family(number(U8, attributes, _FAMILY, "a fou port's family"))
    port = number(PORT, attributes, _PORT, "a fou port's number")
    gue = number(U8, attributes, _TYPE, "a fou port's type") == _GUE
    protocol = number(U8, attributes, _PROTOCOL, "a fou port's protocol")
    return FouPortKey(family, port), FouPortConfig(gue, protocol)
