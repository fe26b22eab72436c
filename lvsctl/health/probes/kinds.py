"""Dispatches a request to the probe of its kind."""

from dataclasses import dataclass

from lvsctl.farm.checks import (
    DnsRequest,
    ExecRequest,
    HttpRequest,
    Request,
    TcpRequest,
    TlsRequest,
    UdpRequest,
)
from lvsctl.health.outcome import Outcome
from lvsctl.health.probes import dns, exec, http, tcp, tls, udp  # noqa: A004 - the check's type
from lvsctl.health.programs.client import Programs
from lvsctl.health.target import Target


@dataclass(frozen=True, slots=True)
class Probes:
    """All kinds of probes, on one event loop.

    Attributes:
        programs: Runs the programs of exec checks; None refuses them.
    """

    programs: Programs | None = None

    async def probe(self, request: Request, target: Target, timeout_s: float) -> Outcome:
        """Probe a target once."""
        match request:
            case TcpRequest():
                return await tcp.probe(request, target, timeout_s)
            case HttpRequest():
                return await http.probe(request, target, timeout_s)
            case TlsRequest():
                return await tls.probe(request, target, timeout_s)
            case UdpRequest():
                return await udp.probe(request, target, timeout_s)
            case DnsRequest():
                return await dns.probe(request, target, timeout_s)
            case ExecRequest():
                return await exec.probe(request, target, timeout_s, self.programs)
