"""Kernel parameters in memory, with the life of ``net.ipv4.conf`` as Linux lives it.

Source: net/ipv4/devinet.c. A new device copies ``default``. Writing ``default`` changes every
device where nobody wrote that parameter; who wrote it is copied to new devices as well.
"""

import errno
import re
from collections.abc import Mapping

from lvsctl.host.interface import SysctlConfig, SysctlKey
from lvsctl.results import Failed

_CONF = ("net", "ipv4", "conf")
_DEVICE_PARAMETERS = ("accept_local", "arp_announce", "arp_ignore", "rp_filter")
_TEMPLATES = ("all", "default")
_INTEGERS = re.compile(r"-?[0-9]+( -?[0-9]+)*")
_RESERVED_PORTS = SysctlKey(("net", "ipv4", "ip_local_reserved_ports"))
_RANGES = re.compile(r"([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?")


class MemorySysctls:
    """A tree of parameters: integers, and one list of ranges of ports."""

    def __init__(self, values: Mapping[SysctlKey, str]) -> None:
        templates = {
            SysctlKey((*_CONF, template, parameter)): "0"
            for template in _TEMPLATES
            for parameter in _DEVICE_PARAMETERS
        }
        self._values: dict[SysctlKey, str] = {
            **templates,
            SysctlKey(("net", "ipv4", "ip_forward")): "0",
            _RESERVED_PORTS: "",
            **values,
        }
        self._set_by_hand: set[SysctlKey] = set()

    def add_device(self, name: str) -> None:
        """Give a new device its parameters, unless they were given from the start."""
        for parameter in _DEVICE_PARAMETERS:
            key, template = _key(name, parameter), _key("default", parameter)
            self._values.setdefault(key, self._values[template])
            if template in self._set_by_hand:
                self._set_by_hand.add(key)

    def remove_device(self, name: str) -> None:
        """Take a device's parameters away."""
        for parameter in _DEVICE_PARAMETERS:
            key = _key(name, parameter)
            del self._values[key]
            self._set_by_hand.discard(key)

    def read(self, key: SysctlKey) -> SysctlConfig | None:
        """Return a parameter's value, None for absent."""
        value = self._values.get(key)
        return None if value is None else SysctlConfig(value)

    def write(self, key: SysctlKey, config: SysctlConfig | None) -> Failed | None:
        """Set a parameter; return why not."""
        if self.read(key) == config:
            return None
        if config is None:
            return Failed(errno.EPERM, f"sysctl {key} cannot be removed")
        if key not in self._values:
            return Failed(errno.ENOENT, f"there is no sysctl {key}")
        form = _RANGES if key == _RESERVED_PORTS else _INTEGERS
        if not form.fullmatch(config.value):
            return Failed(errno.EINVAL, f"sysctl {key}: Invalid argument")
        self._values[key] = config.value
        self._set_by_hand.add(key)
        if key.path[:-1] == (*_CONF, "default"):
            self._copy_default(key.path[-1], config.value)
        return None

    def _copy_default(self, parameter: str, value: str) -> None:
        for key in self._values:
            of_device = key.path[:-2] == _CONF and key.path[-2] not in _TEMPLATES
            if of_device and key.path[-1] == parameter and key not in self._set_by_hand:
                self._values[key] = value


def _key(device: str, parameter: str) -> SysctlKey:
    return SysctlKey((*_CONF, device, parameter))
