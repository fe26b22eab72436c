"""What fou ports can be, and why one cannot be opened, in words. Pure."""

from lvsctl.host.interface import FouPortConfig, FouPortKey

_PORT_MAX = 65535
_PROTOCOL_MAX = 255


def port_invalid_reason(key: FouPortKey, config: FouPortConfig) -> str | None:
    """Return why no port can be so, None where one can."""
    if not 1 <= key.port <= _PORT_MAX:
        return f"a fou port is 1 to {_PORT_MAX}, not {key.port}"
    if config.gue and config.protocol:
        return f"{key}: with gue each packet says its protocol, so the port has none"
    if not config.gue and not 1 <= config.protocol <= _PROTOCOL_MAX:
        return f"{key}: without gue the port needs a protocol, 1 to {_PROTOCOL_MAX}"
    return None


def port_open_message(key: FouPortKey, present: FouPortConfig) -> str:
    """Say that a port is open already and unwraps something else."""
    kind = "gue" if present.gue else f"ipproto {present.protocol}"
    return f"{key} is there already, as {kind}"


def port_in_use_message(key: FouPortKey) -> str:
    """Say that another socket has the UDP port."""
    return (
        f"{key}: another socket on this host has UDP port {key.port} (ss -ulnp shows which); "
        "stop it, or choose another port for the tunnel"
    )
