"""The host that this process runs on: rtnetlink through pyroute2, sysctls through /proc."""

import contextlib
import errno
import os
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lvsctl.errors import KernelError
from lvsctl.host import sysctls
from lvsctl.host.fallback import FALLBACK_DEVICES, absent_message
from lvsctl.host.fou import fou_ports, set_fou_port
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
from lvsctl.host.link_messages import Message, link_config, tunnel_request
from lvsctl.host.modules import load_module_of
from lvsctl.host.plan import satisfies
from lvsctl.host.rtnetlink import (
    FR_ACT_TO_TBL,
    IFA_F_NODAD,
    IPV6_DEFAULT_METRIC,
    RTNH_F_ONLINK,
    address_config,
    interface_of,
    route_config,
    route_key,
    rule_key,
)
from lvsctl.host.tunnel_kinds import describe, immutable_part, invalid_reason, same_ends
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.results import Done, Failed, Result, Skipped

_INFINITE_LIFETIME = 2**32 - 1
_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EOPNOTSUPP})
_ABSENT = frozenset({errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV})


class LinuxHost:
    """The network namespace of the thread that makes it, which must be the one that uses it."""

    def __init__(self) -> None:
        with _kernel_errors("rtnetlink cannot be opened"):
            self._rtnetlink = IPRoute()

    def close(self) -> None:
        """Close the netlink socket."""
        self._rtnetlink.close()

    def links(self) -> Sequence[str]:
        """Return the names of all network devices, in the kernel's order."""
        return [name for _, name in socket.if_nameindex()]

    def addresses(self) -> Mapping[AddressKey, AddressConfig]:
        """Return every address of every device with its options, each device's oldest first."""
        found = dict(self._addresses())
        ipv6 = [key for key in found if key.address.version == 6]  # noqa: PLR2004
        # The kernel lists IPv6 addresses of one scope newest first (ipv6_link_dev_addr).
        for key in reversed(ipv6):
            found[key] = found.pop(key)
        return found

    def gateways(self) -> Sequence[tuple[str, IPAddress]]:
        """Return device and next hop of every default route of the main table."""
        return [
            (config.link, config.gateway)
            for family in Family
            for key, config in self._routes(family, MAIN_TABLE)
            if key.destination.prefixlen == 0 and config.link and config.gateway
        ]

    def routes(self, family: Family, table: int = MAIN_TABLE) -> Mapping[RouteKey, RouteConfig]:
        """Return every route of a table, in the kernel's order."""
        found: dict[RouteKey, RouteConfig] = {}
        for key, config in self._routes(family, table):
            found.setdefault(key, config)
        return found

    def observe(self, keys: Collection[HostKey]) -> HostState:
        """Return what each of ``keys`` is now, None for absent."""
        dumped: dict[HostKey, Config] = {}
        if any(isinstance(key, AddressKey) for key in keys):
            dumped.update(self._addresses())
        for family, table in {_table_of(key) for key in keys if isinstance(key, RouteKey)}:
            dumped.update(self.routes(family, table).items())
        for family in {key.family for key in keys if isinstance(key, RuleKey)}:
            dumped.update((key, RuleConfig()) for key in self._rules(family))
        if any(isinstance(key, FouPortKey) for key in keys):
            dumped.update(fou_ports().items())
        return {key: self._observe_one(key, dumped) for key in keys}

    def apply(self, changes: Sequence[HostChange]) -> Sequence[Result]:
        """Make the changes in order; after one that failed the others are skipped."""
        results: list[Result] = []
        for change in changes:
            result = self._apply_one(change)
            results.append(result)
            if isinstance(result, Failed):
                because = f"{change}: {result}"
                return results + [Skipped(because)] * (len(changes) - len(results))
        return results

    def _observe_one(self, key: HostKey, dumped: Mapping[HostKey, Config]) -> Config | None:
        match key:
            case LinkKey(name=name):
                link = self._link(name)
                return None if link is None else link[1]
            case SysctlKey():
                return sysctls.read(key)
            case _:
                return dumped.get(key)

    def _apply_one(self, change: HostChange) -> Result:
        try:
            match change.key, change.config:
                case LinkKey() as key, (None | LinkConfig()) as config:
                    return self._set_link(key, config)
                case AddressKey() as key, (None | AddressConfig()) as config:
                    return self._set_address(key, config)
                case RouteKey() as key, (None | RouteConfig()) as config:
                    return self._set_route(key, config)
                case RuleKey() as key, (None | RuleConfig()) as config:
                    return self._set_rule(key, config)
                case FouPortKey() as key, (None | FouPortConfig()) as config:
                    return set_fou_port(key, config)
                case SysctlKey() as key, (None | SysctlConfig()) as config:
                    return sysctls.write(key, config)
                case key, config:
                    raise TypeError(f"{config!r} is no configuration of {key!r}")
        except NetlinkError as error:
            return Failed(error.code, f"{change}: {os.strerror(error.code)}")

    # Links

    def _link(self, name: str) -> tuple[int, LinkConfig] | None:
        """Return a device's index and what it is."""
        with _kernel_errors(f"device {name} cannot be read"):
            found: tuple[Message, ...] = tuple(self._rtnetlink.get_links(ifname=name))
        names = dict(socket.if_nameindex())
        return (found[0]["index"], link_config(found[0], names)) if found else None

    def _index(self, name: str) -> int | None:
        try:
            return socket.if_nametoindex(name)
        except OSError:
            return None

    def _set_link(self, key: LinkKey, wanted: LinkConfig | None) -> Result:
        if wanted is None:
            return self._remove_link(key.name)
        link = self._link(key.name)
        if link is None:
            failure = self._create_link(key.name, wanted)
            if failure is not None:
                return failure
            link = self._link(key.name)
            if link is None:
                return Failed(errno.ENODEV, f"{key.name} vanished as soon as it was made")
        index, present = link
        if immutable_part(present) != immutable_part(wanted):
            return Failed(errno.EEXIST, f"{key.name} is there already, as {describe(present)}")
        if not satisfies(wanted, present):
            self._rtnetlink.link(
                "set",
                index=index,
                state="up" if wanted.up else "down",
                **({} if wanted.mtu is None else {"mtu": wanted.mtu}),
            )
        return Done()

    def _create_link(self, name: str, wanted: LinkConfig) -> Failed | None:
        fallback = FALLBACK_DEVICES.get(name)
        if fallback is not None:
            load_module_of(name, fallback.module)
            return None if self._index(name) else Failed(errno.ENODEV, absent_message(name))
        if not wanted.kind:
            return Failed(errno.ENODEV, f"there is no device {name}")
        unfit = invalid_reason(wanted)
        if unfit is not None:
            return Failed(errno.EINVAL, f"{name}: {unfit}")
        underlay = None
        if wanted.underlay is not None:
            underlay = self._index(wanted.underlay)
            if underlay is None:
                return Failed(errno.ENODEV, f"there is no device {wanted.underlay} for {name}")
        try:
            self._rtnetlink.link(
                "add", ifname=name, kind=wanted.kind, **tunnel_request(wanted, underlay)
            )
        except NetlinkError as error:
            if error.code == errno.EEXIST:
                return Failed(errno.EEXIST, self._conflict_message(name, wanted))
            raise
        return None

    def _conflict_message(self, name: str, wanted: LinkConfig) -> str:
        names = dict(socket.if_nameindex())
        links: tuple[Message, ...] = tuple(self._rtnetlink.get_links())
        twins = [
            link.get("ifname") for link in links if same_ends(link_config(link, names), wanted)
        ]
        whose = f"{twins[0]} has" if twins else "another device has"
        return f"{name} cannot be made: {whose} its ends already, {describe(wanted)}"

    def _remove_link(self, name: str) -> Result:
        index = self._index(name)
        if index is None:
            return Done()
        if name not in FALLBACK_DEVICES:
            self._rtnetlink.link("del", index=index)
            return Done()
        # The kernel answers a deletion with success and keeps the device.
        self._rtnetlink.link("set", index=index, state="down")
        for key, _ in list(self._addresses()):
            if key.link == name:
                self._set_address(key, None)
        return Done()

    # Addresses

    def _addresses(self) -> Iterator[tuple[AddressKey, AddressConfig]]:
        names = dict(socket.if_nameindex())
        with _kernel_errors("addresses cannot be read"):
            messages = tuple(self._rtnetlink.get_addr())
        for message in messages:
            name = names.get(message["index"])
            if name is not None:
                yield AddressKey(name, interface_of(message)), address_config(message)

    def _set_address(self, key: AddressKey, wanted: AddressConfig | None) -> Result:
        index = self._index(key.link)
        if wanted is None:
            return Done() if index is None else self._remove_address(index, key)
        if index is None:
            return Failed(errno.ENODEV, f"there is no device {key.link} for {key.address}")
        request: dict[str, object] = {
            "index": index,
            "address": str(key.address.ip),
            "prefixlen": key.address.network.prefixlen,
            "flags": IFA_F_NODAD if wanted.nodad else 0,
            "preferred_lft": 0 if wanted.deprecated else _INFINITE_LIFETIME,
            "valid_lft": _INFINITE_LIFETIME,
        }
        try:
            self._rtnetlink.addr("add", **request)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
            if self._has_other_prefix(key):
                # The kernel would answer a replacement with success and change nothing.
                return Failed(errno.EEXIST, f"{key} is there already with another prefix length")
            self._rtnetlink.addr("replace", **request)
        return Done()

    def _has_other_prefix(self, wanted: AddressKey) -> bool:
        return wanted.address.version == 6 and any(  # noqa: PLR2004
            key.link == wanted.link and key.address.ip == wanted.address.ip and key != wanted
            for key, _ in self._addresses()
        )

    def _remove_address(self, index: int, key: AddressKey) -> Result:
        with _ignore_absent():
            self._rtnetlink.addr(
                "delete",
                index=index,
                address=str(key.address.ip),
                prefixlen=key.address.network.prefixlen,
            )
        return Done()

    # Routes

    def _routes(self, family: Family, table: int) -> Iterator[tuple[RouteKey, RouteConfig]]:
        names = dict(socket.if_nameindex())
        with _kernel_errors(f"{family} routes cannot be read"), _ignore_missing_family(family):
            for message in tuple(self._rtnetlink.get_routes(family=family, table=table)):
                yield route_key(message), route_config(message, names)

    def _set_route(self, key: RouteKey, wanted: RouteConfig | None) -> Result:
        if wanted is None:
            return self._remove_route(key)
        request: dict[str, object] = {
            **_route_request(key),
            "type": wanted.type,
            "scope": wanted.scope,
        }
        if wanted.link is not None:
            index = self._index(wanted.link)
            if index is None:
                return Failed(errno.ENODEV, f"there is no device {wanted.link} for {key}")
            request["oif"] = index
        if wanted.gateway is not None:
            request["gateway"] = str(wanted.gateway)
        if wanted.onlink:
            request["flags"] = RTNH_F_ONLINK
        if wanted.source is not None:
            request["prefsrc"] = str(wanted.source)
        metrics = {"advmss": wanted.advmss, "mtu": wanted.mtu}
        given = {name: value for name, value in metrics.items() if value is not None}
        if given:
            request["metrics"] = given
        self._rtnetlink.route("replace", **request)
        return Done()

    def _remove_route(self, key: RouteKey) -> Result:
        present = dict(self._routes(*_table_of(key))).get(key)
        if present is None:
            return Done()
        with _ignore_absent():
            self._rtnetlink.route(
                "del", **_route_request(key), type=present.type, scope=present.scope
            )
        return Done()

    # Rules

    def _rules(self, family: Family) -> Iterator[RuleKey]:
        with _kernel_errors(f"{family} rules cannot be read"), _ignore_missing_family(family):
            for message in tuple(self._rtnetlink.get_rules(family=family)):
                if message["action"] == FR_ACT_TO_TBL:
                    yield rule_key(message)

    def _set_rule(self, key: RuleKey, wanted: RuleConfig | None) -> Result:
        present = key in set(self._rules(key.family))
        if present == (wanted is not None):
            return Done()
        request: dict[str, object] = {
            "family": int(key.family),
            "priority": key.priority,
            "table": key.table,
        }
        if key.source is not None:
            request["src"] = str(key.source)
        if key.mark is not None:
            request["fwmark"] = key.mark
        self._rtnetlink.rule("add" if wanted is not None else "del", **request)
        return Done()


def _table_of(key: RouteKey) -> tuple[Family, int]:
    return family_of(key.destination.network_address), key.table


def _route_request(key: RouteKey) -> dict[str, object]:
    family, table = _table_of(key)
    metric = key.metric or (IPV6_DEFAULT_METRIC if family is Family.IPV6 else 0)
    request: dict[str, object] = {
        "dst": str(key.destination),
        "family": int(family),
        "table": table,
    }
    return {**request, "priority": metric} if metric else request


@contextlib.contextmanager
def _ignore_absent() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code not in _ABSENT:
            raise


@contextlib.contextmanager
def _ignore_missing_family(family: Family) -> Iterator[None]:
    """Let a kernel without IPv6 have no IPv6 routes and rules."""
    try:
        yield
    except NetlinkError as error:
        if family is not Family.IPV6 or error.code not in _NO_SUCH_FAMILY:
            raise


@contextlib.contextmanager
def _kernel_errors(what: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise KernelError(f"{what}: {os.strerror(error.code)}") from error
    except OSError as error:
        raise KernelError(f"{what}: {error.strerror}") from error
