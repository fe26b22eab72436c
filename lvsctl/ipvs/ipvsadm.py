"""The IPVS table through ipvsadm(8), for hosts where netlink cannot be used."""

import errno
import os
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from lvsctl.errors import KernelError, KernelLacks
from lvsctl.ipvs.batching import apply_in_batches
from lvsctl.ipvs.connection_file import read_connections
from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.errors import NO_IPVSADM, NO_MODULE, NO_PRIVILEGE
from lvsctl.ipvs.interface import IpvsReader, Sweep
from lvsctl.ipvs.listing import Listed, parse_listing, parse_timeouts
from lvsctl.ipvs.restore import split_verifiable, took_effect
from lvsctl.ipvs.save_format import operation_arguments
from lvsctl.ipvs.save_parser import parse_table
from lvsctl.ipvs.table import (
    DestinationCounters,
    DestinationKey,
    IpvsTable,
    Operation,
    ServiceCounters,
    ServiceKey,
    Timeouts,
    Traffic,
    VirtualService,
)
from lvsctl.results import Done, Failed, Result, Unknown

_FEW_OPERATIONS = 4
_UNINITIALISED = "Can't initialize ipvs"
_UNPRIVILEGED = "Permission denied"
# ipvsadm's own messages for errnos of the kernel; for others it prints strerror(3).
_ERRNOS: Mapping[str, int] = {os.strerror(number): number for number in errno.errorcode} | {
    "Service already exists": errno.EEXIST,
    "Destination already exists": errno.EEXIST,
    "Scheduler or persistence engine not found": errno.ENOENT,
    "No such destination": errno.ENOENT,
    "No such service": errno.ESRCH,
    "Service not defined": errno.ESRCH,
    "Invalid operation.  Possibly wrong module version, address not unicast, ...": errno.EINVAL,
    "Memory allocation problem": errno.ENOMEM,
    "Operation not supported with IPv6": errno.EOPNOTSUPP,
    "Operation not supported with specified address family": errno.EAFNOSUPPORT,
}
_ZEROS = (0, 0, 0, 0, 0)  # of a destination that was added between two listings
_NOTHING_LISTED = Listed((), {})


class IpvsadmIpvs:
    """The IPVS table of the calling thread's network namespace."""

    def __init__(self) -> None:
        """Check that ipvsadm can be used.

        Raises:
            KernelLacks: It is not installed, the kernel has no IPVS, or a privilege is missing.
        """
        self._swept: dict[ServiceKey, VirtualService] = {}
        self.timeouts()

    def close(self) -> None:
        """Do nothing, as nothing is open."""

    def reader(self) -> IpvsReader:
        """Return this, as nothing is held open."""
        return self

    def sweep(self) -> Sweep:
        """Read all virtual services at once: each run of the program lists them all."""
        table = self.snapshot()
        self._swept = {
            key: before if (before := self._swept.get(key)) == service else service
            for key, service in table.items()
        }
        return Sweep(table, iter(self._swept.items()))

    def snapshot(self, keys: Collection[ServiceKey] | None = None) -> IpvsTable:
        """Return the kernel's virtual services, only those of ``keys`` if given.

        Local delivery, which lvsctl never uses, appears as direct routing, as ipvsadm prints it.
        """
        table = parse_table(_read("-Sn"))
        thresholds = parse_listing(_read("-Ln", "--thresholds"))
        wanted = table if keys is None else table.keys() & set(keys)
        return {
            key: _with_thresholds(table[key], thresholds.get(key, _NOTHING_LISTED))
            for key in sorted(wanted, key=lambda key: key.sort_key)
        }

    def counters(
        self, keys: Collection[ServiceKey] | None = None
    ) -> Mapping[ServiceKey, ServiceCounters]:
        """Return the counters of the same services."""
        totals = parse_listing(_read("-Ln", "--stats", "--exact"))
        rates = parse_listing(_read("-Ln", "--rate", "--exact"))
        connections = parse_listing(_read("-Ln", "--persistent-conn"))
        wanted = totals.keys() & rates.keys() & connections.keys()
        wanted = wanted if keys is None else wanted & set(keys)
        return {
            key: _counters(totals[key], rates[key], connections[key])
            for key in sorted(wanted, key=lambda key: key.sort_key)
        }

    def counted_snapshot(self) -> tuple[IpvsTable, Mapping[ServiceKey, ServiceCounters]]:
        """Return all virtual services and their counters."""
        return self.snapshot(), self.counters()

    def timeouts(self) -> Timeouts:
        """Return the connections' idle timeouts."""
        return parse_timeouts(_read("-Ln", "--timeout"))

    def scheduling_order(self, key: ServiceKey) -> Sequence[DestinationKey]:
        """Return a service's destinations in the kernel's own order, the newest first."""
        listed = parse_listing(_read("-Ln", "--thresholds", "--nosort"))
        return list(listed.get(key, _NOTHING_LISTED).destinations)

    def connection_entries(self) -> Iterator[Connection]:
        """Yield all connections as they are read."""
        return read_connections()

    def apply(self, operations: Sequence[Operation]) -> Sequence[Result]:
        """Carry out operations and return one result for each, in the same order."""
        return apply_in_batches(operations, self._send)

    def _send(self, operations: Sequence[Operation]) -> Sequence[Result]:
        if len(operations) <= _FEW_OPERATIONS:
            return [_carry_out(operation) for operation in operations]
        return [result for group in split_verifiable(operations) for result in self._restore(group)]

    def _restore(self, operations: Sequence[Operation]) -> Sequence[Result]:
        """Carry out operations on distinct objects with one ``ipvsadm -R``.

        It carries on after most errors and does not say which line failed. So the table is read
        afterwards, and operations that it does not show are repeated one by one.
        """
        before = parse_table(_read("-Sn"))
        lines = [" ".join(operation_arguments(operation)) + "\n" for operation in operations]
        ended = _run("-R", standard_input="".join(lines))
        if ended.returncode == 0 and not ended.stderr:
            return [Done()] * len(operations)
        after = self.snapshot()
        return [
            Done() if took_effect(operation, before, after) else _carry_out(operation)
            for operation in operations
        ]


def _run(*arguments: str, standard_input: str = "") -> subprocess.CompletedProcess[str]:
    try:
        ended = subprocess.run(
            ["ipvsadm", *arguments],
            input=standard_input,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise KernelLacks(NO_IPVSADM) from None
    if _UNINITIALISED in ended.stderr:
        raise KernelLacks(NO_PRIVILEGE if _UNPRIVILEGED in ended.stderr else NO_MODULE)
    return ended


def _read(*arguments: str) -> str:
    ended = _run(*arguments)
    if ended.returncode:
        command = " ".join(["ipvsadm", *arguments])
        raise KernelError(f"`{command}` failed ({ended.returncode}): {ended.stderr.strip()}")
    return ended.stdout


def _carry_out(operation: Operation) -> Result:
    ended = _run(*operation_arguments(operation))
    if ended.returncode < 0:
        return Unknown(f"ipvsadm was ended by signal {-ended.returncode}")
    if ended.returncode == 0:
        return Done()
    words = ended.stderr.strip()
    if words in _ERRNOS:
        return Failed(_ERRNOS[words])
    return Failed(errno.EINVAL, words)


def _with_thresholds(service: VirtualService, listed: Listed) -> VirtualService:
    destinations = {}
    for key in sorted(service.destinations, key=lambda key: key.sort_key):
        upper, lower, *_ = listed.destinations.get(key, _ZEROS)
        config = service.destinations[key]
        destinations[key] = replace(config, upper_threshold=upper, lower_threshold=lower)
    return replace(service, destinations=destinations)


def _counters(totals: Listed, rates: Listed, connections: Listed) -> ServiceCounters:
    destinations = {}
    for key in sorted(totals.destinations, key=lambda key: key.sort_key):
        traffic = Traffic(*totals.destinations[key], *rates.destinations.get(key, _ZEROS))
        _weight, persistent, active, inactive = connections.destinations.get(key, _ZEROS[:4])
        destinations[key] = DestinationCounters(traffic, active, inactive, persistent)
    return ServiceCounters(Traffic(*totals.numbers, *rates.numbers), destinations)
