"""Assigns a firewall mark and a source port to each real server's probes. Pure.

A probe through the tunnel must reach exactly one real server. Its packets carry a mark, and the
virtual service for that mark has that server as its only destination. IPVS looks up existing
connections before the mark, so the mark alone is not enough: an entry left behind by a dead
server's probe would capture the next one from the same port. Each mark therefore has its own
source port, used by nothing else and kept unused for a while before another server gets it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lvsctl.farm.model import MarkRange, PortRange
from lvsctl.ipvs.table import (
    DestinationConfig,
    DestinationKey,
    Encapsulation,
    FwmarkKey,
    IpvsTable,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IPAddress

REUSE_DELAY = timedelta(minutes=15)
"""How long the mark and port of an unused path stay reserved: the IPVS timeout of an idle
established connection, the longest of its defaults."""


@dataclass(frozen=True, slots=True)
class TunnelPath:
    """A tunnel to one real server, independent of VIP and port.

    Attributes:
        family: Of the VIP; the same mark in the other family is another virtual service.
        server: Address of the real server (RIP).
        encapsulation: Of packets to it.
    """

    family: Family
    server: IPAddress
    encapsulation: Encapsulation

    @property
    def sort_key(self) -> tuple[int, int, int, Encapsulation]:
        """A total order, by families, address, encapsulation."""
        return (self.family, self.server.version, int(self.server), self.encapsulation)

    def __str__(self) -> str:
        return f"{self.server} over {self.encapsulation} ({self.family})"


@dataclass(frozen=True, slots=True)
class ProbeMark:
    """Mark and source port of the probes along one path.

    Attributes:
        mark: Firewall mark.
        port: Source port.
        unused_since: When the path was last needed, in UTC; None while it is in use.
    """

    mark: int
    port: int
    unused_since: datetime | None = None


ProbeMarks = Mapping[TunnelPath, ProbeMark]


def assign_marks(
    paths: Collection[TunnelPath],
    held: ProbeMarks,
    *,
    marks: MarkRange,
    ports: PortRange,
    foreign_keys: Collection[FwmarkKey],
    now: datetime,
) -> ProbeMarks:
    """Assign each path its own mark and port, keeping existing assignments.

    If only the mark or only the port has become invalid, only that half changes. An unused path's
    pair stays reserved for :data:`REUSE_DELAY`; a path that returns in time gets it back. Paths
    for which no mark or port is free are missing from the result.

    Args:
        paths: Paths in use now.
        held: Current assignments, reserved ones included.
        marks: Range to choose marks from.
        ports: Range to choose source ports from.
        foreign_keys: Firewall-mark services that are not probe services.
        now: In UTC.
    """
    resting = {
        path: replace(mark, unused_since=since)
        for path, mark in held.items()
        if path not in paths
        # A clock that was set back must not reserve it for years.
        if now - (since := min(mark.unused_since or now, now)) < REUSE_DELAY
    }
    foreign = {key.mark for key in foreign_keys}
    fit_marks = {
        path: mark.mark
        for path, mark in held.items()
        if path in paths and mark.mark in marks and mark.mark not in foreign
    }
    fit_ports = {
        path: mark.port for path, mark in held.items() if path in paths and mark.port in ports
    }
    kept = resting.values()
    free_marks = _free(marks, {*fit_marks.values(), *(each.mark for each in kept), *foreign})
    free_ports = _free(ports, {*fit_ports.values(), *(each.port for each in kept)})
    assigned = dict(resting)
    for path in sorted(paths, key=lambda path: (path not in held, path.sort_key)):
        mark = fit_marks.get(path) or next(free_marks, None)
        port = fit_ports.get(path) or next(free_ports, None)
        if mark is not None and port is not None:
            assigned[path] = ProbeMark(mark, port)
    return assigned


def _free(numbers: MarkRange | PortRange, used: Collection[int]) -> Iterator[int]:
    return (number for number in range(numbers.first, numbers.last + 1) if number not in used)


def mark_table(marks: ProbeMarks) -> IpvsTable:
    """Return the virtual services that send each mark in use to its real server."""
    return {
        FwmarkKey(path.family, mark.mark): VirtualService(
            VirtualServiceConfig("rr"),
            {
                DestinationKey(path.server, 0): DestinationConfig(
                    1, encapsulation=path.encapsulation
                )
            },
        )
        for path, mark in marks.items()
        if mark.unused_since is None
    }


def reserved_ports(present: str, ports: PortRange) -> str:
    """Add a range to a list of reserved ports, in the kernel's notation.

    Args:
        present: Value of ``net.ipv4.ip_local_reserved_ports``, such as ``8080,9148-9150``.
        ports: Range that the kernel must not hand out as ephemeral ports.
    """
    ranges = [
        (int(first), int(last or first))
        for first, _, last in (part.partition("-") for part in present.split(",") if part)
    ]
    merged: list[tuple[int, int]] = []
    for first, last in sorted([*ranges, (ports.first, ports.last)]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in merged)
