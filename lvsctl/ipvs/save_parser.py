"""Parses the output of ``ipvsadm -Sn``."""

from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address

from lvsctl.errors import MalformedMessage
from lvsctl.ipvs.save_format import (
    FORWARDING_OPTIONS,
    SERVICE_OPTIONS,
    TUNNEL_FLAG_OPTIONS,
    scheduler_flags,
)
from lvsctl.ipvs.table import (
    AddressKey,
    DestinationConfig,
    DestinationKey,
    Encapsulation,
    FwmarkKey,
    Persistence,
    ServiceFlag,
    ServiceKey,
    TunnelFlag,
    TunnelType,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IPAddress

_PROTOCOLS = {option: protocol for protocol, option in SERVICE_OPTIONS.items()}
_UNKNOWN_PROTOCOL = "--xxx-service"
# -g is printed for LOCAL too; the later entry wins, so it is parsed as direct routing.
_FORWARDING = {option: method for method, option in FORWARDING_OPTIONS.items()}
_TUNNEL_FLAGS = {option: flags for flags, option in TUNNEL_FLAG_OPTIONS.items()}
_TUNNEL_TYPES = {str(kind): kind for kind in TunnelType}
_WITHOUT_VALUE = {"-A", "-a", "-6", "-o", *_FORWARDING, *_TUNNEL_FLAGS}
_MARK_MASK = 0xFFFFFFFF


def parse_endpoint(text: str) -> tuple[IPAddress, int]:
    """Parse ``192.0.2.11:80`` or ``[2001:db8::11]:80``.

    Raises:
        ValueError: The text is neither.
    """
    host, _, port = text.rpartition(":")
    return ip_address(host.strip("[]")), int(port)


def parse_mark(text: str) -> int:
    """Parse a firewall mark, which ipvsadm prints as a signed number.

    Raises:
        ValueError: The text is not a number.
    """
    return int(text) & _MARK_MASK


def _prefix_length(family: Family, netmask: str) -> int:
    """Return the mask's length; -1, which equals no desired value, if it is not contiguous."""
    if family is Family.IPV6:
        return int(netmask)
    bits = f"{int(IPv4Address(netmask)):032b}"
    return -1 if "01" in bits else bits.count("1")


def _options(words: list[str]) -> dict[str, str]:
    """Map every option to its value; empty for options without one."""
    rest = iter(words)
    return {word: "" if word in _WITHOUT_VALUE else next(rest, "") for word in rest}


def _service_key(options: Mapping[str, str]) -> ServiceKey:
    if "-f" in options:
        family = Family.IPV6 if "-6" in options else Family.IPV4
        return FwmarkKey(family, parse_mark(options["-f"]))
    option = next(option for option in options if option in _PROTOCOLS)
    return AddressKey(_PROTOCOLS[option], *parse_endpoint(options[option]))


def _service_config(family: Family, options: Mapping[str, str]) -> VirtualServiceConfig:
    scheduler = options["-s"]
    names = [name for name in options.get("-b", "").split(",") if name]
    flags = ServiceFlag.ONE_PACKET if "-o" in options else ServiceFlag(0)
    for name in names:
        flags |= scheduler_flags(scheduler)[name]
    persistence = None
    if "-p" in options:
        whole = family.bits
        length = _prefix_length(family, options["-M"]) if "-M" in options else whole
        persistence = Persistence(int(options["-p"]), length, options.get("--pe", ""))
    return VirtualServiceConfig(scheduler, flags, persistence)


def _destination_config(options: Mapping[str, str]) -> DestinationConfig:
    method = next(method for option, method in _FORWARDING.items() if option in options)
    return DestinationConfig(int(options["-w"]), method, _encapsulation(options))


def _encapsulation(options: Mapping[str, str]) -> Encapsulation | None:
    if "--tun-type" not in options:  # no tunnel, or one of a type newer than ipvsadm
        return None
    flags = (flags for option, flags in _TUNNEL_FLAGS.items() if option in options)
    return Encapsulation(
        _TUNNEL_TYPES[options["--tun-type"]],
        int(options.get("--tun-port", "0")),
        next(flags, TunnelFlag(0)),
    )


def parse_table(text: str) -> dict[ServiceKey, VirtualService]:
    """Parse a whole table; thresholds are 0, as they are not printed.

    Services of a protocol that IPVS does not balance are left out.

    Raises:
        MalformedMessage: A line is not in ipvsadm's format.
    """
    configs: dict[ServiceKey, VirtualServiceConfig] = {}
    destinations: dict[ServiceKey, dict[DestinationKey, DestinationConfig]] = {}
    for line in text.splitlines():
        options = _options(line.split())
        if _UNKNOWN_PROTOCOL in options:
            continue
        try:
            key = _service_key(options)
            if "-A" in options:
                configs[key] = _service_config(key.family, options)
                destinations[key] = {}
            else:
                destination = DestinationKey(*parse_endpoint(options["-r"]))
                destinations[key][destination] = _destination_config(options)
        except (KeyError, ValueError, StopIteration) as error:
            raise MalformedMessage(f"ipvsadm -Sn printed {line!r}") from error
    return {key: VirtualService(config, destinations[key]) for key, config in configs.items()}
