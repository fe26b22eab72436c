"""A host in memory, as strict as Linux, for tests and for trying things out."""

import errno
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lvsctl.host.fallback import FALLBACK_DEVICES, absent_message
from lvsctl.host.fou_ports import port_in_use_message, port_invalid_reason, port_open_message
from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    Config,
    FouPortConfig,
    FouPortKey,
    HostChange,
    HostKey,
    HostState,
    LinkConfig,
    LinkKey,
    RouteConfig,
    RouteKey,
    RuleConfig,
    RuleKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.host.memory_sysctls import MemorySysctls
from lvsctl.host.plan import satisfies
from lvsctl.host.tunnel_kinds import (
    TUNNEL_KINDS,
    describe,
    header_bytes,
    immutable_part,
    invalid_reason,
    same_ends,
)
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.results import Done, Failed, Result, Skipped

_IPV6 = 6
_LOOPBACK_MTU = 65536
_ETHERNET_MTU = 1500
_NAME_MAX = 15  # IFNAMSIZ - 1


_Key = TypeVar("_Key")
_Config = TypeVar("_Config")


class _Refused(Exception):
    """The kernel's answer to one change."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.failure = Failed(number, message or os.strerror(number))


@dataclass(frozen=True, slots=True)
class Hardware:
    """A device that nobody can create or delete."""

    name: str
    up: bool = True
    mtu: int = 1500


class MemoryHost:
    """A network namespace with ``lo`` and the given hardware, and otherwise empty.

    Args:
        hardware: Devices beside ``lo``.
        loadable: Fallback devices that appear once their module is asked for.
        sysctls: Further kernel parameters and their values.
    """

    def __init__(
        self,
        hardware: Sequence[Hardware] = (),
        loadable: Collection[str] = frozenset(FALLBACK_DEVICES),
        sysctls: Mapping[SysctlKey, str] | None = None,
    ) -> None:
        self._links: dict[str, LinkConfig] = {}
        self._addresses: dict[AddressKey, AddressConfig] = {}
        self._routes: dict[RouteKey, RouteConfig] = {}
        self._rules: dict[RuleKey, RuleConfig] = {}
        self._fou_ports: dict[FouPortKey, FouPortConfig] = {}
        self._used_ports: set[FouPortKey] = set()
        self._sysctls = MemorySysctls(sysctls or {})
        self._loadable = frozenset(loadable)
        for device in (Hardware("lo", up=False, mtu=_LOOPBACK_MTU), *hardware):
            self._add_link(device.name, LinkConfig("", device.up, device.mtu))
        self._hardware = frozenset(self._links)

    def close(self) -> None:
        """Do nothing; the configuration stays as it is."""

    def links(self) -> Sequence[str]:
        """Return the names of all network devices, in order of creation."""
        return list(self._links)

    def addresses(self) -> Mapping[AddressKey, AddressConfig]:
        """Return every address of every device with its options, in order of creation."""
        return dict(self._addresses)

    def gateways(self) -> Sequence[tuple[str, IPAddress]]:
        """Return device and next hop of every default route of the main table."""
        return [
            (config.link, config.gateway)
            for key, config in self._routes.items()
            if key.table == MAIN_TABLE
            and key.destination.prefixlen == 0
            and config.link
            and config.gateway
        ]

    def routes(self, family: Family, table: int = MAIN_TABLE) -> Mapping[RouteKey, RouteConfig]:
        """Return every route of a table, in order of creation."""
        return {
            key: config
            for key, config in self._routes.items()
            if key.table == table and family_of(key.destination.network_address) is family
        }

    def observe(self, keys: Collection[HostKey]) -> HostState:
        """Return what each of ``keys`` is now, None for absent."""
        return {key: self._observe_one(key) for key in keys}

    def apply(self, changes: Sequence[HostChange]) -> Sequence[Result]:
        """Make the changes in order; after one that failed the others are skipped."""
        results: list[Result] = []
        for change in changes:
            try:
                self._apply_one(change)
            except _Refused as refused:
                skipped = Skipped(f"{change}: {refused.failure}")
                results.append(refused.failure)
                return results + [skipped] * (len(changes) - len(results))
            results.append(Done())
        return results

    def _observe_one(self, key: HostKey) -> Config | None:
        match key:
            case LinkKey():
                return self._links.get(key.name)
            case AddressKey():
                return self._addresses.get(key)
            case RouteKey():
                return self._routes.get(key)
            case RuleKey():
                return self._rules.get(key)
            case FouPortKey():
                return self._fou_ports.get(key)
            case SysctlKey():
                return self._sysctls.read(key)

    def _apply_one(self, change: HostChange) -> None:
        match change.key, change.config:
            case LinkKey() as key, (None | LinkConfig()) as config:
                self._set_link(key.name, config)
            case AddressKey() as key, (None | AddressConfig()) as config:
                self._set_address(key, config)
            case RouteKey() as key, (None | RouteConfig()) as config:
                self._set_route(key, config)
            case RuleKey() as key, (None | RuleConfig()) as config:
                _put(self._rules, key, config)
            case FouPortKey() as key, (None | FouPortConfig()) as config:
                self._set_fou_port(key, config)
            case SysctlKey() as key, (None | SysctlConfig()) as config:
                failure = self._sysctls.write(key, config)
                if failure is not None:
                    raise _Refused(failure.errno, failure.message)
            case key, config:
                raise TypeError(f"{config!r} is no configuration of {key!r}")

    # Links

    def _add_link(self, name: str, config: LinkConfig) -> None:
        self._links[name] = config
        self._sysctls.add_device(name)

    def _set_link(self, name: str, wanted: LinkConfig | None) -> None:
        if wanted is None:
            self._remove_link(name)
            return
        if name not in self._links:
            self._create_link(name, wanted)
        present = self._links[name]
        if immutable_part(wanted) != immutable_part(present):
            raise _Refused(errno.EEXIST, f"{name} is there already, as {describe(present)}")
        if satisfies(wanted, present):
            return
        mtu = present.mtu if wanted.mtu is None else wanted.mtu
        self._links[name] = replace(wanted, mtu=mtu)
        if not wanted.up:
            self._flush_on_down(name)

    def _create_link(self, name: str, wanted: LinkConfig) -> None:
        fallback = FALLBACK_DEVICES.get(name)
        if fallback is not None:
            if name not in self._loadable:
                raise _Refused(errno.ENODEV, absent_message(name))
            self._add_device(name, LinkConfig(fallback.kind, up=False))
            return
        if not wanted.kind:
            raise _Refused(errno.ENODEV, f"there is no device {name}")
        unfit = invalid_reason(wanted)
        if unfit is not None:
            raise _Refused(errno.EINVAL, f"{name}: {unfit}")
        if wanted.underlay is not None and wanted.underlay not in self._links:
            raise _Refused(errno.ENODEV, f"there is no device {wanted.underlay} for {name}")
        if wanted.kind not in {"dummy", *TUNNEL_KINDS}:
            raise _Refused(errno.EOPNOTSUPP)
        if len(name) > _NAME_MAX:
            raise _Refused(errno.ERANGE)
        if wanted.kind in TUNNEL_KINDS:
            self._check_ends(name, wanted)
        self._add_device(name, wanted)

    def _check_ends(self, name: str, wanted: LinkConfig) -> None:
        # The kind's module brings its fallback device, which has no ends.
        fallbacks = {
            device: LinkConfig(fallback.kind, up=False)
            for device, fallback in FALLBACK_DEVICES.items()
            if device in self._loadable
        }
        for other, link in {**fallbacks, **self._links}.items():
            if same_ends(link, wanted):
                words = f"{name} cannot be made: {other} has its ends already, {describe(wanted)}"
                raise _Refused(errno.EEXIST, words)

    def _add_device(self, name: str, wanted: LinkConfig) -> None:
        mtu = _ETHERNET_MTU
        if wanted.kind in TUNNEL_KINDS:
            mtu = self._underlay_mtu(wanted) - header_bytes(wanted)
        self._add_link(name, replace(wanted, up=False, mtu=mtu))

    def _underlay_mtu(self, tunnel: LinkConfig) -> int:
        """Return the MTU of the device towards the other end, else of the one that is named."""
        towards = [
            key.link
            for key in self._addresses
            if tunnel.remote is not None and tunnel.remote in key.address.network
        ]
        for name in (*towards, tunnel.underlay):
            if name is not None:
                return self._links[name].mtu or _ETHERNET_MTU
        return _ETHERNET_MTU

    def _remove_link(self, name: str) -> None:
        if name not in self._links:
            return
        if name in self._hardware:
            raise _Refused(errno.EOPNOTSUPP)
        self._flush_on_down(name)
        for key in [key for key in self._addresses if key.link == name]:
            del self._addresses[key]
        if name in FALLBACK_DEVICES:
            self._links[name] = replace(self._links[name], up=False)
            return
        del self._links[name]
        self._sysctls.remove_device(name)

    def _flush_on_down(self, name: str) -> None:
        gone = [key for key in self._addresses if key.link == name and key.address.version == _IPV6]
        for address in gone:
            del self._addresses[address]
        for route in [key for key, config in self._routes.items() if config.link == name]:
            del self._routes[route]

    # Fou ports

    def take_port(self, key: FouPortKey) -> None:
        """Let another program's socket have a UDP port."""
        self._used_ports.add(key)

    def _set_fou_port(self, key: FouPortKey, wanted: FouPortConfig | None) -> None:
        present = self._fou_ports.get(key)
        if wanted is not None and wanted != present:
            unfit = port_invalid_reason(key, wanted)
            if unfit is not None:
                raise _Refused(errno.EINVAL, unfit)
            if present is not None:
                raise _Refused(errno.EEXIST, port_open_message(key, present))
            if key in self._used_ports:
                raise _Refused(errno.EADDRINUSE, port_in_use_message(key))
        _put(self._fou_ports, key, wanted)

    # Addresses

    def _set_address(self, key: AddressKey, config: AddressConfig | None) -> None:
        if config is not None:
            self._check_address(key)
            if key.address.version != _IPV6:
                config = replace(config, nodad=False)
        _put(self._addresses, key, config)

    def _check_address(self, key: AddressKey) -> None:
        if key.link not in self._links:
            raise _Refused(errno.ENODEV, f"there is no device {key.link} for {key.address}")
        if key.address.version == _IPV6:
            for other in self._addresses:
                if other.link == key.link and other.address.ip == key.address.ip and other != key:
                    raise _Refused(
                        errno.EEXIST, f"{key} is there already with another prefix length"
                    )

    # Routes

    def _set_route(self, key: RouteKey, config: RouteConfig | None) -> None:
        if config is not None:
            self._check_route(key, config)
        _put(self._routes, key, config)

    def _check_route(self, key: RouteKey, config: RouteConfig) -> None:
        if config.link is not None:
            link = self._links.get(config.link)
            if link is None:
                raise _Refused(errno.ENODEV, f"there is no device {config.link} for {key}")
            if not link.up:
                raise _Refused(errno.ENETDOWN)
        if config.gateway is not None and not (config.onlink or self._on_link(config.gateway)):
            ipv6 = config.gateway.version == _IPV6
            raise _Refused(errno.EHOSTUNREACH if ipv6 else errno.ENETUNREACH)
        if config.source is not None and not any(
            address.address.ip == config.source for address in self._addresses
        ):
            raise _Refused(errno.EINVAL)

    def _on_link(self, gateway: IPAddress) -> bool:
        connected = any(
            gateway in key.address.network and gateway != key.address.ip for key in self._addresses
        )
        routed = any(
            gateway in key.destination and config.gateway is None
            for key, config in self._routes.items()
            if key.table == MAIN_TABLE
        )
        return connected or routed


def _put(table: dict[_Key, _Config], key: _Key, config: _Config | None) -> None:
    if config is None:
        table.pop(key, None)
    else:
        table[key] = config
