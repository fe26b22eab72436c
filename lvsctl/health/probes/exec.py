"""Exec probe: a program, run by another process, exits with status 0."""

import signal

from lvsctl.farm.checks import ExecRequest
from lvsctl.health.outcome import Outcome
from lvsctl.health.probes.attempt import Attempt, OwnFault, WrongAnswer, outcome_of
from lvsctl.health.programs.client import NoService, Programs
from lvsctl.health.programs.messages import Order, Refused
from lvsctl.health.target import Target
from lvsctl.reasons import probes as reasons


async def probe(
    request: ExecRequest, target: Target, timeout_s: float, programs: Programs | None
) -> Outcome:
    """Run a program and check its exit status; it is killed on timeout.

    It gets its target from the environment: LVSCTL_VIP, LVSCTL_RIP, LVSCTL_PORT.

    Args:
        request: Names the program.
        target: The target.
        timeout_s: For the whole probe.
        programs: Runs it; None refuses it.
    """

    async def ask(attempt: Attempt) -> None:
        name = request.program
        if programs is None:
            raise OwnFault(reasons.PROGRAMS_OFF(name))
        attempt.awaits = f"{name} to end"
        try:
            answer = await programs.run(_order(request, target, timeout_s))
        except NoService as error:
            raise OwnFault(reasons.PROGRAM_NOT_RUN(name, error=error)) from error
        if isinstance(answer, Refused):
            raise OwnFault(reasons.PROGRAM_NOT_RUN(name, error=answer.refusal))
        if answer.status != 0:
            status = _how(answer.status)
            raise WrongAnswer(reasons.PROGRAM_FAILED(name, status=status, output=answer.output))

    return await outcome_of(ask, target, timeout_s)


def _order(request: ExecRequest, target: Target, timeout_s: float) -> Order:
    return Order(
        program=request.program,
        arguments=request.arguments,
        vip=None if target.vip is None else str(target.vip),
        rip=None if target.server is None else str(target.server),
        port=target.port or None,
        timeout_s=timeout_s,
    )


def _how(status: int) -> str:
    if status > 0:
        return f"exited with {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:  # real-time signals have no names
        return f"signal {-status}"
