"""Each kind of probe through the tunnel: it passes, and it fails for each reason that it can have.

The programs of exec are in test_probe_programs.py.
"""

import asyncio
import functools
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from deploy.lab.fixtures import BuildNetwork
from deploy.lab.node import Node
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from lvsctl.farm.checks import (
    DnsRequest,
    HttpRequest,
    Request,
    TcpRequest,
    TlsOptions,
    TlsRequest,
    UdpRequest,
)
from lvsctl.health.outcome import Outcome, Passed, ProbeFailed
from lvsctl.health.probes import tls
from lvsctl.health.probes.kinds import Probes
from lvsctl.health.target import Target
from tests.kernel.bad_servers import (
    FULL,
    HOST,
    NAME,
    NOBODY_THERE,
    PORTS,
    READY,
    A,
    serve,
    tls_contexts,
)
from tests.kernel.marked import VIP, mark_servers

TIMEOUT_S = 0.4
"""Of probes that are to run out of time."""
LONG_S = 10.0
VERIFIED = TlsOptions(HOST, verify=True)


@dataclass(frozen=True, slots=True)
class Case:
    """A probe, and what comes of it.

    Attributes:
        request: What is asked.
        server: Which of the servers.
        reason: Why it fails, {} for the address and port, N for a number of bytes that came; empty
            where it passes.
        is_silent: Not one packet comes back.
    """

    request: Request
    server: str
    reason: str = ""
    is_silent: bool = False

    @property
    def is_to_time_out(self) -> bool:
        """It takes all the time that it is given."""
        return "timed out" in self.reason

    def differs(self, outcome: Outcome) -> bool:
        """Tell whether something else came of it."""
        if not isinstance(outcome, ProbeFailed):
            return not isinstance(outcome, Passed) or bool(self.reason)
        reason = self.reason.replace("{}", f"{VIP}:{PORTS[self.server]}")
        found = re.sub(r"\d+ bytes so far", "N bytes so far", str(outcome.reason))
        return (reason, self.is_silent) != (found, outcome.silent)


TOO_LATE = f"{{}}: timed out after {TIMEOUT_S:g} s, waiting for "
TOO_LARGE = "{}: the answer is larger than 1048576 bytes"


def connections(request: Request) -> Iterator[Case]:
    """Yield what becomes of a probe that finds no connection."""
    yield Case(request, NOBODY_THERE, "{} refused the connection")
    yield Case(request, FULL, f"{TOO_LATE}the connection", is_silent=True)


def handshakes(request: Request) -> Iterator[Case]:
    """Yield what becomes of a probe that wants TLS."""
    for server, reason in {
        "http silent": f"{TOO_LATE}its TLS handshake",
        "http resetting": "{} reset the connection, waiting for its TLS handshake",
        "http closing": "{} closed the connection during the TLS handshake",
        "dripping a handshake": f"{TOO_LATE}its TLS handshake",
        "flooding a handshake": TOO_LARGE,
        "a banner": "{}: TLS handshake failed: wrong version number",
        "another name": "{}: invalid certificate: Hostname mismatch, certificate is not valid for "
        "'web.example'.",
        "another authority": "{}: invalid certificate: unable to get local issuer certificate",
        "expired": "{}: invalid certificate: certificate has expired",
    }.items():
        yield Case(request, server, reason)


def answers(scheme: str, asked: HttpRequest) -> Iterator[Case]:
    """Yield what becomes of a probe over HTTP that is answered, or not."""
    fine = replace(asked, body="^fine$")
    yield Case(asked, f"{scheme} good")
    yield Case(
        replace(asked, body="well"),
        f"{scheme} good",
        "{}: 'well' not found in the body (5 bytes)",
    )
    for server, reason in {
        "good": "",
        "busy": "{} answered 503 (allowed: 200-299)",
        "silent": f"{TOO_LATE}an answer",
        "resetting": "{} reset the connection, waiting for an answer",
        "closing": "{} closed the connection after 0 bytes of its answer",
        "cut": "{} closed the connection in the middle of the body",
        "dripping": f"{TOO_LATE}the rest of its answer, N bytes so far",
        "garbage": r"{} does not speak HTTP: b'SSH-2.0-OpenSSH_9.2p1\r\n'",
        "large": TOO_LARGE,
        "a large header": TOO_LARGE,
    }.items():
        yield Case(fine, f"{scheme} {server}", reason)


def datagrams() -> Iterator[Case]:
    """Yield what becomes of probes over UDP."""
    ping, query = UdpRequest(b"ping", b"pi"), DnsRequest(NAME, addresses=frozenset({A}))
    for request in ping, query:
        yield Case(request, NOBODY_THERE, "{} refused the datagram")
        yield Case(request, "no datagram", f"{TOO_LATE}an answer", is_silent=True)
    yield Case(ping, "echo")
    yield Case(UdpRequest(), "a large datagram")
    yield Case(
        UdpRequest(b"ping", b"pong"),
        "garbled datagrams",
        r"{} answered b'pi\xff', which does not begin with b'pong'",
    )
    yield Case(query, "a name server")
    yield Case(
        DnsRequest(NAME, addresses=frozenset({ip_address("192.0.2.2")})),
        "a name server",
        "{}: 192.0.2.2 is not in web.example. A: 192.0.2.1",
    )
    for server, reason in {
        "a refusing name server": "{} answered REFUSED for web.example.",
        "a truncating name server": "{} has no A record for web.example. (its answer is truncated)",
        "echo": "{} answered a query other than that for web.example.",
        "garbled datagrams": "{} does not speak DNS: The DNS packet passed to from_wire() is too "
        "short.",
        "a late name server": f"{TOO_LATE}an answer",
    }.items():
        yield Case(query, server, reason)


CASES: Sequence[Case] = [
    Case(TcpRequest(), READY),
    *connections(TcpRequest()),
    *connections(HttpRequest()),
    *answers("http", HttpRequest()),
    *connections(HttpRequest(tls=VERIFIED)),
    *handshakes(HttpRequest(tls=VERIFIED)),
    *answers("https", HttpRequest(tls=VERIFIED)),
    Case(HttpRequest(tls=TlsOptions()), "another authority"),
    *connections(TlsRequest(VERIFIED)),
    *handshakes(TlsRequest(VERIFIED)),
    Case(TlsRequest(VERIFIED), "https good"),
    Case(TlsRequest(), "expired"),
    *datagrams(),
]


@pytest.fixture
def contexts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, ssl.SSLContext]]:
    """What the servers speak over TLS; this host trusts one authority."""
    ours, file = trustme.CA(), tmp_path / "authorities.pem"
    ours.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    tls.context.cache_clear()
    yield tls_contexts(ours)
    tls.context.cache_clear()


Asked = tuple[Request, Target, float]


def outcomes(node: Node, probes: Probes, asked: Sequence[Asked]) -> list[Outcome]:
    """Probe from a node, one after the other."""

    async def probe() -> list[Outcome]:
        return [await probes.probe(*each) for each in asked]

    with node.enter():
        return asyncio.run(probe())


def test_each_kind_passes_and_says_why_it_does_not(
    network: BuildNetwork, contexts: Mapping[str, ssl.SSLContext]
) -> None:
    """Through the tunnel, all from one source port, whatever the one before ended with."""
    farm = network(farm_topology(real_servers=1))
    to_rs1 = mark_servers(farm, ["rs1"])["rs1"]
    farm["rs1"].fork(lambda: asyncio.run(serve(contexts)), "servers")
    ask = functools.partial(outcomes, farm["lb1"], Probes())

    def asked(case: Case) -> Asked:
        target = replace(to_rs1, port=PORTS[case.server])
        return case.request, target, TIMEOUT_S if case.is_to_time_out else LONG_S

    ready = asked(Case(TcpRequest(), READY))
    poll(lambda: ask([ready]), LONG_S, until=lambda found: isinstance(found[0], Passed))
    found = zip(CASES, ask([asked(case) for case in CASES]), strict=True)
    assert [] == [(case, outcome) for case, outcome in found if case.differs(outcome)]
