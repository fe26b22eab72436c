"""Identity, destination and source of a probe."""

from dataclasses import dataclass

from lvsctl.farm.checks import HealthCheck, Request, Through
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class TargetId:
    """A real server as the clients of a VIP see it; verdicts are per target.

    Attributes:
        pool: Name of the pool.
        server: Name of the server in it.
        vip: Virtual address of its clients.
    """

    pool: str
    server: str
    vip: IPAddress

    def __str__(self) -> str:
        return f"{self.pool}/{self.server} for {self.vip}"


@dataclass(frozen=True, slots=True)
class ProbeId:
    """Key of a verdict: one request to one target.

    Intervals, rise and fall are not part of it: a verdict survives their change, but not a change
    of the request.

    Attributes:
        target: The target.
        request: The request.
        port: Destination port; None for exec without a port.
        through: Path of the probe.
    """

    target: TargetId
    request: Request
    port: int | None
    through: Through

    @classmethod
    def of(cls, target: TargetId, check: HealthCheck, port: int | None) -> "ProbeId":
        """Return the key of a check of a target; the port applies if the check has none."""
        return cls(target, check.request, port if check.port is None else check.port, check.through)


@dataclass(frozen=True, slots=True)
class Target:
    """Socket parameters of a probe.

    Equal targets give the same result for the same request, whatever their TargetId.

    Attributes:
        address: The VIP through the tunnel, the real server's address (RIP) directly.
        port: 0 for none (exec).
        source: Address to bind, a DIP; None leaves it to the kernel.
        source_port: Port to bind; None leaves it to the kernel.
        mark: SO_MARK of the socket; None for none.
        vip: Passed to the program of an exec check; else None.
        server: RIP, passed to the program of an exec check; else None.
    """

    address: IPAddress
    port: int
    source: IPAddress | None = None
    source_port: int | None = None
    mark: int | None = None
    vip: IPAddress | None = None
    server: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class PlannedProbe:
    """A probe to run repeatedly.

    Attributes:
        id: Key of its verdict.
        check: Its intervals and timeout.
        target: Where it goes.
    """

    id: ProbeId
    check: HealthCheck
    target: Target
