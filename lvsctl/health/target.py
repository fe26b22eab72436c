"""Whom a probe asks, and from where."""

from dataclasses import dataclass

from lvsctl.farm.checks import HealthCheck, Request, Through
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class TargetId:
    """A real server as the clients of a VIP see it; verdicts are about these.

    Attributes:
        pool: Name of the pool.
        server: Name of the server in it.
        vip: Address that its clients use.
    """

    pool: str
    server: str
    vip: IPAddress

    def __str__(self) -> str:
        return f"{self.pool}/{self.server} for {self.vip}"


@dataclass(frozen=True, slots=True)
class ProbeId:
    """One question to one target: what a verdict is kept by.

    How often it is asked and how answers are counted is not part of it: a verdict outlives a
    changed interval, and does not outlive a changed question.

    Attributes:
        target: About whom.
        request: What is asked.
        port: Port that is asked; None where there is none (exec).
        through: Path of the probe.
    """

    target: TargetId
    request: Request
    port: int | None
    through: Through

    @classmethod
    def of(cls, target: TargetId, check: HealthCheck, port: int | None) -> "ProbeId":
        """Return the question of a check to a target, on that port where it names none itself."""
        return cls(target, check.request, port if check.port is None else check.port, check.through)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the packets of a probe go, and what they carry.

    Equal targets give equal answers to the same request, whatever TargetId they are for.

    Attributes:
        address: The VIP through the tunnel, the server's own address (RIP) directly.
        port: 0 where there is none (exec).
        source: Address that the socket is bound to, a DIP; None leaves it to the kernel.
        source_port: Port that it is bound to; None leaves it to the kernel.
        mark: SO_MARK of the socket; None for none.
        vip: For exec: told to the program; None for all others.
        server: For exec: the server's own address, told to the program; None for all others.
    """

    address: IPAddress
    port: int
    source: IPAddress | None = None
    source_port: int | None = None
    mark: int | None = None
    vip: IPAddress | None = None
    server: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A probe that is to be repeated.

    Attributes:
        id: What its verdict is kept by.
        check: How often it is made, and how long it may take.
        target: Where it goes.
    """

    id: ProbeId
    check: HealthCheck
    target: Target
