"""What is wrong on a real server: the direct check passes, the one through the tunnel fails."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

import pytest

from deploy.lab.application import HTTP_PORT, Application, start_application
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.node import Node, NodeProcess
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from lvsctl.farm.checks import HttpRequest
from lvsctl.health.outcome import Outcome, Passed, ProbeFailed
from lvsctl.health.probes import http
from lvsctl.health.target import Target
from tests.kernel.marked import VIP, mark_servers

SERVERS = ("rs1", "rs2")
SHORT_S, LONG_S = 0.5, 5.0


@dataclass
class Farm:
    """A director with a mark for each of two servers, and rs1's application."""

    network: Network
    through: Mapping[str, Target]
    application: NodeProcess

    @property
    def server(self) -> Node:
        """The one that something is wrong with."""
        return self.network["rs1"]

    def ask(self, target: Target, timeout_s: float = LONG_S) -> Outcome:
        """Probe over HTTP from the director."""
        with self.network["lb1"].enter():
            return asyncio.run(http.probe(HttpRequest(body='"server"'), target, timeout_s))

    def direct(self) -> Outcome:
        """Ask rs1 itself."""
        return self.ask(Target(ip_address(self.network.address("rs1")), HTTP_PORT))

    def serve_the_rip_alone(self) -> None:
        """Have rs1's application listen at its own address, and at no VIP."""
        self.application.stop()
        address = self.network.address("rs1")

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"server"')

        async def serve() -> None:
            async with await asyncio.start_server(answer, address, HTTP_PORT) as listening:
                await listening.serve_forever()

        self.application = self.server.fork(lambda: asyncio.run(serve()), "rip-only")
        poll(self.direct, LONG_S, until=lambda outcome: isinstance(outcome, Passed))

    def serve_all(self) -> None:
        """Have it listen at every address again."""
        self.application.kill()
        self.application = start_application(self.server, Application("rs1"))


@pytest.fixture
def farm(network: BuildNetwork) -> Farm:
    """Both servers and the director, set up by hand for ipip."""
    built = network(farm_topology(real_servers=2))
    through = mark_servers(built, SERVERS)
    applications = {name: start_application(built[name], Application(name)) for name in SERVERS}
    return Farm(built, through, applications["rs1"])


SILENT = "198.51.100.10:80: timed out after 0.5 s, waiting for the connection"
REFUSED = "198.51.100.10:80 refused the connection"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong on a real server.

    Attributes:
        make: Brings it about.
        mend: Undoes it.
        reason: What the probe through the tunnel says.
    """

    make: Callable[[Farm], None]
    mend: Callable[[Farm], None]
    reason: str


def _rp_filter(value: int) -> Callable[[Farm], None]:
    return lambda farm: farm.server.write_sysctl("net.ipv4.conf.tunl0.rp_filter", value)


FAULTS = {
    "tunl0 is down": Fault(
        lambda farm: farm.server.set_link("tunl0", up=False),
        lambda farm: farm.server.set_link("tunl0", up=True),
        REFUSED,
    ),
    "rp_filter is 1": Fault(_rp_filter(1), _rp_filter(0), SILENT),
    "the VIP is missing": Fault(
        lambda farm: farm.server.delete_address("tunl0", f"{VIP}/32"),
        lambda farm: farm.server.add_address("tunl0", f"{VIP}/32"),
        SILENT,
    ),
    "the application listens at the RIP only": Fault(
        Farm.serve_the_rip_alone, Farm.serve_all, REFUSED
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_tunnel_tells_what_the_direct_check_does_not(farm: Farm, name: str) -> None:
    """With its reason, of that server alone, and right again once it is mended."""
    fault = FAULTS[name]
    first, second = (farm.through[server] for server in SERVERS)
    assert isinstance(farm.ask(first), Passed)
    fault.make(farm)
    for _ in range(3):
        failed = farm.ask(first, SHORT_S)
        assert isinstance(failed, ProbeFailed)
        assert fault.reason == str(failed.reason)
        assert isinstance(farm.direct(), Passed)
        assert isinstance(farm.ask(second), Passed)
    fault.mend(farm)
    assert isinstance(farm.ask(first), Passed)
