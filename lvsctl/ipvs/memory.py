"""An IPVS table in memory that refuses what the kernel refuses, for tests and demonstrations."""

import errno
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from lvsctl.ipvs.batching import apply_in_batches
from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.interface import IpvsReader, Sweep
from lvsctl.ipvs.save_format import format_table
from lvsctl.ipvs.table import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationCounters,
    DestinationKey,
    EditDestination,
    EditService,
    IpvsTable,
    Operation,
    ServiceCounters,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    Traffic,
    VirtualService,
    VirtualServiceConfig,
    service_of,
)
from lvsctl.net import IPAddress
from lvsctl.results import Done, Failed, Result

SCHEDULERS = frozenset(
    ["none", "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"]
)
ENGINES = frozenset(["", "sip"])
DEFAULT_TIMEOUTS = Timeouts(tcp_s=900, tcp_fin_s=120, udp_s=300)

_NO_TRAFFIC = DestinationCounters(Traffic(), 0, 0, 0)
_NEVER_UNICAST = frozenset(map(IPv4Address, ["0.0.0.0", "255.255.255.255"]))  # noqa: S104


@dataclass(slots=True)
class _Service:
    config: VirtualServiceConfig
    destinations: dict[DestinationKey, DestinationConfig] = field(default_factory=dict)


class MemoryKernel:
    """The state of a kernel; several :class:`MemoryIpvs` may share one, from any thread."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.services: dict[ServiceKey, _Service] = {}
        self.timeouts = DEFAULT_TIMEOUTS

    def table(self) -> IpvsTable:
        """Return the table, ordered like every snapshot."""
        with self.lock:
            return {
                key: _frozen(service)
                for key, service in sorted(self.services.items(), key=lambda item: item[0].sort_key)
            }

    def service(self, key: ServiceKey) -> VirtualService | None:
        """Return a virtual service as it is, None if it is missing."""
        with self.lock:
            found = self.services.get(key)
            return _frozen(found) if found else None

    def carry_out(self, operation: Operation) -> Result:
        """Carry out one operation, or refuse it with the kernel's errno."""
        with self.lock:
            error = self._carry_out(operation)
        return Failed(error) if error else Done()

    def _carry_out(self, operation: Operation) -> int:
        match operation:
            case AddService(key, config):
                return self._add_service(key, config)
            case SetTimeouts(timeouts):
                return self._set_timeouts(timeouts)
        service = self._service_of(operation)
        if service is None:
            return errno.ESRCH
        match operation:
            case EditService(_, config):
                return _edit_service(service, config)
            case DeleteService(key):
                del self.services[key]
                return 0
            case AddDestination(_, destination, destination_config):
                return _add_destination(service, destination, destination_config)
            case EditDestination(_, destination, destination_config):
                return _edit_destination(service, destination, destination_config)
            case DeleteDestination(_, destination):
                return 0 if service.destinations.pop(destination, None) else errno.ENOENT

    def _service_of(self, operation: Operation) -> _Service | None:
        key = service_of(operation)
        return self.services.get(key) if key else None

    def _add_service(self, key: ServiceKey, config: VirtualServiceConfig) -> int:
        if key in self.services:
            return errno.EEXIST
        if not _exists(config):
            return errno.ENOENT
        self.services[key] = _Service(config)
        return 0

    def _set_timeouts(self, new: Timeouts) -> int:
        """Set the timeouts; 0 means no change."""
        old = self.timeouts
        self.timeouts = Timeouts(
            new.tcp_s or old.tcp_s, new.tcp_fin_s or old.tcp_fin_s, new.udp_s or old.udp_s
        )
        return 0


def _frozen(service: _Service) -> VirtualService:
    destinations = sorted(service.destinations.items(), key=lambda item: item[0].sort_key)
    return VirtualService(service.config, dict(destinations))


def _exists(config: VirtualServiceConfig) -> bool:
    engine = config.persistence.engine if config.persistence else ""
    return config.scheduler in SCHEDULERS and engine in ENGINES


def _edit_service(service: _Service, config: VirtualServiceConfig) -> int:
    if not _exists(config):
        return errno.ENOENT
    service.config = config
    return 0


def _add_destination(service: _Service, key: DestinationKey, config: DestinationConfig) -> int:
    if config.lower_threshold > config.upper_threshold:
        return errno.ERANGE
    if key in service.destinations:
        return errno.EEXIST
    if not _may_be_destination(key.address):
        return errno.EINVAL
    service.destinations[key] = config
    return 0


def _edit_destination(service: _Service, key: DestinationKey, config: DestinationConfig) -> int:
    if config.lower_threshold > config.upper_threshold:
        return errno.ERANGE
    if key not in service.destinations:
        return errno.ENOENT
    service.destinations[key] = config
    return 0


def _may_be_destination(address: IPAddress) -> bool:
    """Tell whether the kernel accepts an address, assuming it has no addresses and routes."""
    if address.version == 4:  # noqa: PLR2004
        return not (address.is_multicast or address in _NEVER_UNICAST)
    return not (
        address.is_multicast
        or address.is_link_local
        or address.is_unspecified
        or address.ipv4_mapped
    )


class MemoryIpvs:
    """An IPVS table in memory that returns the kernel's results; it forwards nothing."""

    def __init__(self, kernel: MemoryKernel | None = None) -> None:
        """Use ``kernel``, or a new one."""
        self._kernel = kernel or MemoryKernel()
        self._swept: dict[ServiceKey, VirtualService] = {}

    def __str__(self) -> str:
        return format_table(self._kernel.table())

    def close(self) -> None:
        """Do nothing; the table stays as it is."""

    def reader(self) -> IpvsReader:
        """Return this instance, which any thread may use."""
        return self

    def sweep(self) -> Sweep:
        """List all virtual services, to read them one at a time."""
        table = self.snapshot()
        return Sweep(table, self._each(table))

    def _each(self, keys: Collection[ServiceKey]) -> Iterator[tuple[ServiceKey, VirtualService]]:
        for key in keys:
            found = self._kernel.service(key)
            if found is None:
                continue
            if self._swept.get(key) != found:
                self._swept[key] = found
            yield key, self._swept[key]

    def snapshot(self, keys: Collection[ServiceKey] | None = None) -> IpvsTable:
        """Return the virtual services that exist now; only those of ``keys`` if given."""
        if keys is None:
            return self._kernel.table()
        wanted = sorted(frozenset(keys), key=lambda key: key.sort_key)
        with self._kernel.lock:
            return {key: found for key in wanted if (found := self._kernel.service(key))}

    def counters(
        self, keys: Collection[ServiceKey] | None = None
    ) -> Mapping[ServiceKey, ServiceCounters]:
        """Return counters that are all 0."""
        return {
            key: ServiceCounters(Traffic(), dict.fromkeys(service.destinations, _NO_TRAFFIC))
            for key, service in self.snapshot(keys).items()
        }

    def counted_snapshot(self) -> tuple[IpvsTable, Mapping[ServiceKey, ServiceCounters]]:
        """Return all virtual services and their counters."""
        return self.snapshot(), self.counters()

    def timeouts(self) -> Timeouts:
        """Return the connections' idle timeouts."""
        return self._kernel.timeouts

    def scheduling_order(self, key: ServiceKey) -> Sequence[DestinationKey]:
        """Return a service's destinations, the newest first."""
        with self._kernel.lock:
            service = self._kernel.services.get(key)
            return [*service.destinations][::-1] if service else []

    def connection_entries(self) -> Iterator[Connection]:
        """Yield none, as nothing is forwarded."""
        return iter(())

    def apply(self, operations: Sequence[Operation]) -> Sequence[Result]:
        """Carry out operations and return one result for each, in the same order."""
        return apply_in_batches(operations, self._send)

    def _send(self, operations: Sequence[Operation]) -> Sequence[Result]:
        return [self._kernel.carry_out(operation) for operation in operations]
