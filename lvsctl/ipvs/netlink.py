"""The IPVS table over generic netlink."""

import errno
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence

from lvsctl.errors import KernelLacks
from lvsctl.ipvs.batching import apply_in_batches
from lvsctl.ipvs.codec.commands import FAMILY_NAME
from lvsctl.ipvs.codec.destination import (
    parse_counted_destination,
    parse_destination,
    parse_destination_counters,
)
from lvsctl.ipvs.codec.requests import (
    destinations_request,
    encode_operation,
    service_request,
    services_request,
    timeouts_request,
)
from lvsctl.ipvs.codec.service import (
    parse_counted_service,
    parse_service,
    parse_service_traffic,
)
from lvsctl.ipvs.codec.timeouts import parse_timeouts
from lvsctl.ipvs.connection_file import read_connections
from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.dumps import Key, Of, Parse, dump_until_agreed, keyed
from lvsctl.ipvs.errors import NO_MODULE, NO_PRIVILEGE
from lvsctl.ipvs.interface import IpvsReader, Sweep
from lvsctl.ipvs.netlink_sweep import NetlinkSweeps
from lvsctl.ipvs.table import (
    DestinationKey,
    IpvsTable,
    Operation,
    ServiceCounters,
    ServiceKey,
    Timeouts,
    VirtualService,
)
from lvsctl.netlink.genetlink import GenericNetlinkSocket, RequestRefused
from lvsctl.netlink.messages import Ack
from lvsctl.results import Done, Failed, Result, Unknown

_FEW_KEYS = 32
_DONE = Done()
_LOST = Unknown("the kernel's answers did not fit into the receive buffer (ENOBUFS)")


class NetlinkIpvs:
    """The IPVS table of the network namespace of the thread that creates the instance."""

    def __init__(self) -> None:
        """Open the socket; load the module ip_vs if necessary.

        Raises:
            KernelLacks: The kernel has no IPVS, or this process lacks CAP_NET_ADMIN.
        """
        self._socket = _open_socket()
        self._sweeps = NetlinkSweeps(self._socket)
        try:
            self.timeouts()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket; the table stays as it is."""
        self._socket.close()

    def reader(self) -> IpvsReader:
        """Open another socket, for the calling thread."""
        return NetlinkIpvs()

    def sweep(self) -> Sweep:
        """List all virtual services, to read them one at a time."""
        return self._sweeps.begin()

    def snapshot(self, keys: Collection[ServiceKey] | None = None) -> IpvsTable:
        """Return the kernel's virtual services, only those of ``keys`` if given."""
        return {
            key: VirtualService(config, self._destinations(key, parse_destination))
            for key, config in self._services(keys, parse_service).items()
        }

    def counters(
        self, keys: Collection[ServiceKey] | None = None
    ) -> Mapping[ServiceKey, ServiceCounters]:
        """Return the counters of the same services."""
        return {
            key: ServiceCounters(traffic, self._destinations(key, parse_destination_counters))
            for key, traffic in self._services(keys, parse_service_traffic).items()
        }

    def counted_snapshot(self) -> tuple[IpvsTable, Mapping[ServiceKey, ServiceCounters]]:
        """Return all virtual services and their counters."""
        table: dict[ServiceKey, VirtualService] = {}
        counters: dict[ServiceKey, ServiceCounters] = {}
        for key, (config, traffic) in self._services(None, parse_counted_service).items():
            found = self._destinations(key, parse_counted_destination)
            table[key] = VirtualService(config, {at: config for at, (config, _) in found.items()})
            counters[key] = ServiceCounters(traffic, {at: each for at, (_, each) in found.items()})
        return table, counters

    def timeouts(self) -> Timeouts:
        """Return the connections' idle timeouts."""
        try:
            return parse_timeouts(self._socket.request(timeouts_request()))
        except RequestRefused as refused:
            if refused.errno == errno.EPERM:
                raise KernelLacks(NO_PRIVILEGE) from None
            raise

    def scheduling_order(self, key: ServiceKey) -> Sequence[DestinationKey]:
        """Return a service's destinations in the kernel's own order, the newest first."""
        answers = self._socket.dump(destinations_request(key)).answers
        return [key for key, _ in map(parse_destination, answers)]

    def connection_entries(self) -> Iterator[Connection]:
        """Yield all connections as they are read."""
        return read_connections()

    def apply(self, operations: Sequence[Operation]) -> Sequence[Result]:
        """Carry out operations in batches and return one result for each, in the same order."""
        return apply_in_batches(operations, self._send)

    def _send(self, operations: Sequence[Operation]) -> Sequence[Result]:
        acks = self._socket.batch(map(encode_operation, operations))
        return [_result(ack) for ack in acks]

    def _services(
        self, keys: Collection[ServiceKey] | None, parse: Parse[ServiceKey, Of]
    ) -> dict[ServiceKey, Of]:
        if keys is None:
            return self._dump(services_request(), parse)
        if len(keys) <= _FEW_KEYS:
            return keyed(self._each_service(keys), parse)
        wanted = frozenset(keys)
        standing = self._dump(services_request(), parse)
        return {key: value for key, value in standing.items() if key in wanted}

    def _each_service(self, keys: Collection[ServiceKey]) -> list[bytes]:
        payloads = []
        for key in keys:
            try:
                payloads.append(self._socket.request(service_request(key)))
            except RequestRefused as refused:
                if refused.errno != errno.ESRCH:
                    raise
        return payloads

    def _destinations(
        self, service: ServiceKey, parse: Parse[DestinationKey, Of]
    ) -> dict[DestinationKey, Of]:
        return self._dump(destinations_request(service), parse)

    def _dump(self, request: bytes, parse: Parse[Key, Of]) -> dict[Key, Of]:
        return dump_until_agreed(self._socket, request, parse)[0]


def _result(ack: Ack | None) -> Result:
    if ack is None:
        return _LOST
    return Failed(ack.errno, ack.message) if ack.errno else _DONE


def _open_socket() -> GenericNetlinkSocket:
    try:
        return GenericNetlinkSocket(FAMILY_NAME)
    except RequestRefused as refused:
        if refused.errno != errno.ENOENT:
            raise
    except OSError as error:
        raise KernelLacks(f"a generic netlink socket cannot be opened: {error}") from error
    _load_module()
    try:
        return GenericNetlinkSocket(FAMILY_NAME)
    except RequestRefused:
        raise KernelLacks(NO_MODULE) from None


def _load_module() -> None:
    try:
        subprocess.run(["modprobe", "ip_vs"], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise KernelLacks(NO_MODULE) from None
    except subprocess.CalledProcessError as error:
        raise KernelLacks(f"{NO_MODULE} (it said: {error.stderr.strip()})") from error
