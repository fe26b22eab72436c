"""Exec probe: a program, run by another process, exits with status 0."""

import signal

from lvsctl.farm.checks import ExecRequest
from lvsctl.health.outcome import Outcome
from lvsctl.health.probes.attempt import Attempt, OwnFault, WrongAnswer, outcome_of
from lvsctl.health.programs.client import NoService, Programs
from lvsctl.health.programs.messages import Order, Refused
from lvsctl.health.target import Target


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
            raise OwnFault(
                f"{name} cannot be run: start the director with --exec-socket or --exec-dir"
            )
        attempt.awaits = f"{name} to end"
        try:
            answer = await programs.run(_order(request, target, timeout_s))
        except NoService as error:
            raise OwnFault(str(error)) from error
        if isinstance(answer, Refused):
            raise OwnFault(answer.refusal)
        if answer.status != 0:
            said = answer.output
            raise WrongAnswer(f"{name}: {_how(answer.status)}{said and ', '}{said}")

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
