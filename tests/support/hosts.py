"""Hosts in memory that remember what they were told, and that can refuse it."""

import errno
from collections.abc import Callable, Collection, Mapping, Sequence

from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    HostChange,
    HostKey,
    HostState,
    RouteConfig,
    RouteKey,
    SysctlKey,
)
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.net import Family, IPAddress
from lvsctl.results import Done, Failed, Result, Skipped


class RecordingHost(MemoryHost):
    """A host that counts reads of its addresses and remembers every change.

    Attributes:
        applied: Every change that was tried, in order.
        reads: How often the addresses were read.
        refused: Keys whose changes fail with EBUSY.
    """

    def __init__(
        self, hardware: Sequence[Hardware] = (), sysctls: Mapping[SysctlKey, str] | None = None
    ) -> None:
        super().__init__(hardware, sysctls=sysctls)
        self.applied: list[HostChange] = []
        self.reads = 0
        self.refused: Collection[HostKey] = frozenset()

    def addresses(self) -> Mapping[AddressKey, AddressConfig]:
        self.reads += 1
        return super().addresses()

    def apply(self, changes: Sequence[HostChange]) -> Sequence[Result]:
        self.applied += changes
        if any(change.key in self.refused for change in changes):
            return [Failed(errno.EBUSY) for _ in changes]
        return super().apply(changes)


class WatchedHost:
    """A host that calls back after every single change."""

    def __init__(self, host: MemoryHost, after_each: Callable[[HostChange], None]) -> None:
        self._host = host
        self._after_each = after_each

    def links(self) -> Sequence[str]:
        return self._host.links()

    def addresses(self) -> Mapping[AddressKey, AddressConfig]:
        return self._host.addresses()

    def gateways(self) -> Sequence[tuple[str, IPAddress]]:
        return self._host.gateways()

    def routes(self, family: Family, table: int = MAIN_TABLE) -> Mapping[RouteKey, RouteConfig]:
        return self._host.routes(family, table)

    def observe(self, keys: Collection[HostKey]) -> HostState:
        return self._host.observe(keys)

    def apply(self, changes: Sequence[HostChange]) -> Sequence[Result]:
        results: list[Result] = []
        for change in changes:
            results += self._host.apply([change])
            if results[-1] != Done():
                return results + [Skipped(str(change))] * (len(changes) - len(results))
            self._after_each(change)
        return results

    def close(self) -> None:
        self._host.close()
