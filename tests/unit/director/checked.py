"""Real servers that probes ask, in memory."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from lvsctl.farm.checks import Request
from lvsctl.health.marks import ProbeMarks
from lvsctl.health.outcome import Outcome, Passed, ProbeFailed
from lvsctl.health.target import Target
from lvsctl.net import IPAddress
from tests.support.reasons import because

TOOK_S = 0.01
REFUSED = ProbeFailed(because("refused the connection"), TOOK_S)
BROKEN = ProbeFailed(because("status 500"), TOOK_S)


@dataclass
class Servers:
    """Servers that are well, but for those that a test says otherwise of.

    Attributes:
        marks: The marks that probes through the tunnel carry.
        tunnel: How a probe through the tunnel to an address ends, where it does not pass; None
            answers never.
        direct: The same for one that goes to the address itself.
        direct_took_s: How long a good answer takes of a server that is asked directly.
        asked: Every probe, in order: the server's address and whether it went through the tunnel.
    """

    marks: Callable[[], ProbeMarks]
    tunnel: dict[IPAddress, Outcome | None] = field(default_factory=dict)
    direct: dict[IPAddress, Outcome | None] = field(default_factory=dict)
    direct_took_s: float = TOOK_S
    asked: list[tuple[IPAddress, bool]] = field(default_factory=list)

    async def probe(self, request: Request, target: Target, timeout_s: float) -> Outcome:  # noqa: ARG002 - all are asked alike
        """Ask one, as the director does."""
        address = target.server or target.address
        if target.mark is not None:
            (address,) = {
                path.server for path, mark in self.marks().items() if mark.mark == target.mark
            }
        self.asked.append((address, target.mark is not None))
        found = (self.direct if target.mark is None else self.tunnel).get(address, Passed(TOOK_S))
        if found is None:
            await asyncio.sleep(timeout_s)
            why = because(f"timed out after {timeout_s:g} s")
            return ProbeFailed(why, timeout_s, silent=True)
        await asyncio.sleep(self.direct_took_s if target.mark is None else TOOK_S)
        return found
