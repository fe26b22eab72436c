"""Hosts in memory that remember what they were told, and that can refuse it."""

import errno
from collections.abc import Collection, Mapping, Sequence

from lvsctl.host.interface import AddressConfig, AddressKey, HostChange, HostKey, SysctlKey
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.results import Failed, Result


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
