"""What a failed probe points to: with what the direct question and the agent say. Pure."""

from collections.abc import Sequence

from lvsctl.director.checks.expand import CheckedServer
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.host.receivers import device_of, tunnel_of
from lvsctl.ipvs.table import TunnelType
from lvsctl.net import family_of
from lvsctl.reasons import probes as reasons
from lvsctl.reasons.reason import Reason, Reasons

FINDINGS = 2
"""How many of an agent's findings are quoted, the latest ones."""


def meaning_of(
    asked: CheckedServer, failed: ProbeFailed, direct: Outcome | None, findings: Sequence[str]
) -> Reasons:
    """Return what the failure of a server points to; empty where nothing is known.

    Args:
        asked: Who was asked what.
        failed: How that ended.
        direct: How the same question to the server's own address ended; None where it was not
            asked, or has not been answered yet.
        findings: What the server's agent has found wrong there, oldest first.
    """
    compared: Reasons = ()
    match direct:
        case Passed():
            compared = (_fault(asked, failed),)
        case ProbeFailed(reason=reason):
            compared = (reasons.NOT_DIRECTLY_EITHER(why=reason),)
        case Inconclusive() | None:
            pass
    reported = (reasons.AGENT_REPORTS(finding=each) for each in findings[-FINDINGS:])
    return (*compared, *reported)


def _fault(asked: CheckedServer, failed: ProbeFailed) -> Reason:
    kind = reasons.TUNNEL_SILENT if failed.silent else reasons.APPLICATION_ANSWERS
    target = asked.id.target
    return kind(asked.member.address, vip=target.vip, devices=_devices(asked), server=target.server)


def _devices(asked: CheckedServer) -> str:
    encapsulation = (
        asked.member.encapsulation if asked.way is None else asked.way.path.encapsulation
    )
    vip, rip = family_of(asked.id.target.vip), family_of(asked.member.address)
    names = " or ".join(device_of(tunnel_of(encapsulation), vip, rip).names)
    if encapsulation.type is TunnelType.GUE:
        return f"fou port {encapsulation.port} and {names}"
    return names


def director_is_suspected(asked: CheckedServer, silent: int, answering: int) -> Reason:
    """Return why the silence of several servers counts for nothing.

    Args:
        asked: One of them.
        silent: How many fell silent together.
        answering: How many of these answer directly.
    """
    vip = asked.id.target.vip
    source = asked.way.egress.source if asked.way else "this director"
    return reasons.DIRECTOR_DROPS_ANSWERS(vip, silent=silent, answering=answering, source=source)
