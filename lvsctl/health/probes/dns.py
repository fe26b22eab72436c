"""DNS probe: a name server answers a query over UDP."""

import asyncio
import functools
import os

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from lvsctl.farm.checks import DnsRequest
from lvsctl.health.outcome import Outcome
from lvsctl.health.probes.attempt import Attempt, WrongAnswer, outcome_of
from lvsctl.health.probes.sockets import exchange
from lvsctl.health.target import Target
from lvsctl.reasons import probes as reasons

_ID = slice(0, 2)  # of a message (RFC 1035, 4.1.1)


async def probe(request: DnsRequest, target: Target, timeout_s: float) -> Outcome:
    """Send a query over UDP, and check the response with its identifier.

    A response with another identifier answers an earlier query and is ignored.
    """

    async def ask(attempt: Attempt) -> None:
        query = os.urandom(2) + _query(request)[2:]
        with exchange(attempt) as datagrams:
            datagrams.send(query)
            answer = await datagrams.receive()
            while answer[_ID] != query[_ID]:
                await asyncio.sleep(0)  # a flood of them must not starve the event loop
                answer = await datagrams.receive()
        judge(request, query, answer, attempt.where)

    return await outcome_of(ask, target, timeout_s)


@functools.lru_cache(maxsize=4096)
def _query(request: DnsRequest) -> bytes:
    return dns.message.make_query(request.name, dns.rdatatype.RdataType(request.type)).to_wire()


def judge(request: DnsRequest, query: bytes, answer: bytes, where: str) -> None:
    """Check a response.

    Raises:
        WrongAnswer: It is not DNS, answers another query, or lacks an expected record.
    """
    try:
        message = dns.message.from_wire(answer)
        answers_it = dns.message.from_wire(query).is_response(message)
    except dns.exception.DNSException as error:
        raise WrongAnswer(reasons.NOT_DNS(where, error=error)) from error
    if not answers_it:
        raise WrongAnswer(reasons.OTHER_QUERY(where, name=request.name))
    if message.rcode() != dns.rcode.NOERROR:
        code = dns.rcode.to_text(message.rcode())
        raise WrongAnswer(reasons.DNS_ERROR(where, error=code, name=request.name))
    wanted = dns.rdatatype.RdataType(request.type)
    found = {
        data.to_text() for records in message.answer if records.rdtype == wanted for data in records
    }
    if not found:
        truncated = "truncated" if message.flags & dns.flags.TC else ""
        raise WrongAnswer(
            reasons.NO_RECORD(where, type=wanted.name, name=request.name, truncated=truncated)
        )
    missing = sorted({str(address) for address in request.addresses} - found)
    if missing:
        raise WrongAnswer(
            reasons.RECORD_MISSING(
                where, missing=missing, name=request.name, type=wanted.name, found=sorted(found)
            )
        )
