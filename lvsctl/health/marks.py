"""Which firewall mark and which source port the probes of a real server have. Pure.

A probe through the tunnel must reach one real server and no other. Its packets carry a mark, and
the virtual service of that mark has that server as its only destination. IPVS looks for an existing
connection before it looks at the mark, so the mark alone is not enough: an entry that a dead
server's probe left would swallow the next one from the same port. Therefore each mark has a source
port of its own, which nothing else uses, and which rests before another server gets it.
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

RESTS_FOR = timedelta(minutes=15)
"""How long a pair of mark and port is kept for a path that no probe takes any more: the idle time
of an established connection in IPVS, the longest of its defaults."""


@dataclass(frozen=True, slots=True)
class TunnelPath:
    """A way through a tunnel to one real server, whatever the VIP and its port.

    Attributes:
        family: Of the VIP; marks of the two families are different virtual services.
        server: Address of the real server (RIP).
        encapsulation: What packets to it are wrapped in.
    """

    family: Family
    server: IPAddress
    encapsulation: Encapsulation

    @property
    def sort_key(self) -> tuple[int, int, int, Encapsulation]:
        """A total order: by families, address, encapsulation."""
        return (self.family, self.server.version, int(self.server), self.encapsulation)

    def __str__(self) -> str:
        return f"{self.server} over {self.encapsulation} ({self.family})"


@dataclass(frozen=True, slots=True)
class ProbeMark:
    """What tells the probes along one path from all other packets.

    Attributes:
        mark: The firewall mark of their packets.
        port: The source port that they are sent from.
        unused_since: Since when no probe takes the path, in UTC; None while one does.
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
    taken: Collection[FwmarkKey],
    now: datetime,
) -> ProbeMarks:
    """Give each path a mark and a port of its own; those that have both keep them.

    Of a pair that has become unfit only the unfit half changes. What paths that are not asked for
    had rests for :data:`RESTS_FOR`; one that is asked for again within that time has the same.
    Paths for which nothing is free are missing from the answer.

    Args:
        paths: What probes take now.
        held: What was assigned until now, with what rests.
        marks: From which marks to choose.
        ports: From which source ports to choose.
        taken: Marks that virtual services of somebody else have.
        now: The time of day, in UTC.
    """
    resting = {
        path: replace(mark, unused_since=since)
        for path, mark in held.items()
        if path not in paths
        # A clock that was set back must not make it rest for years.
        if now - (since := min(mark.unused_since or now, now)) < RESTS_FOR
    }
    foreign = {key.mark for key in taken}
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
    """Return the virtual services that lead each mark in use to its real server."""
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
    """Return a list of reserved ports with a range added, as the kernel writes it.

    Args:
        present: Value of ``net.ipv4.ip_local_reserved_ports``, such as ``8080,9148-9150``.
        ports: What no socket may get that does not ask for it by number.
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
