"""UDP probe: the server answers a datagram."""

from lvsctl.farm.checks import UdpRequest
from lvsctl.health.outcome import Outcome
from lvsctl.health.probes.attempt import Attempt, WrongAnswer, outcome_of
from lvsctl.health.probes.sockets import exchange
from lvsctl.health.target import Target
from lvsctl.reasons import probes as reasons

_SHOWN = 40
"""Bytes of an unexpected response quoted in a reason."""


async def probe(request: UdpRequest, target: Target, timeout_s: float) -> Outcome:
    """Send a datagram, and check the first one that comes back."""

    async def ask(attempt: Attempt) -> None:
        with exchange(attempt) as datagrams:
            datagrams.send(request.payload)
            answer = await datagrams.receive()
        if not answer.startswith(request.answer):
            shown, expected = repr(answer[:_SHOWN]), repr(request.answer[:_SHOWN])
            raise WrongAnswer(
                reasons.UNEXPECTED_ANSWER(attempt.where, answer=shown, expected=expected)
            )

    return await outcome_of(ask, target, timeout_s)
