"""Whether a program finds a server well; another process runs it."""

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
    """Have a program run, and judge by its exit status; it is killed at the end of its time.

    It learns whom to ask from its environment: LVSCTL_VIP, LVSCTL_RIP, LVSCTL_PORT.

    Args:
        request: Names the program.
        target: Whom it judges.
        timeout_s: For all of it.
        programs: Runs it; None refuses them all.
    """

    async def ask(attempt: Attempt) -> None:
        name = request.program
        if programs is None:
            raise OwnFault(f"{name} is not run: start the director with --exec-dir")
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
    except ValueError:  # those for real time have numbers alone
        return f"signal {-status}"
