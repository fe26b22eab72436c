"""What a failed probe means, in words: with what the direct question and the agent say. Pure."""

from collections.abc import Sequence

from lvsctl.director.checks.expand import CheckedServer
from lvsctl.health.outcome import Failed, Inconclusive, Outcome, Passed
from lvsctl.host.receivers import device_of, tunnel_of
from lvsctl.ipvs.table import TunnelType
from lvsctl.net import family_of

FINDINGS = 2
"""How many of an agent's findings are quoted, the latest ones."""


def meaning_of(
    asked: CheckedServer, failed: Failed, direct: Outcome | None, findings: Sequence[str]
) -> str:
    """Return what the failure of a server points to; empty where nothing is known.

    Args:
        asked: Who was asked what.
        failed: How that ended.
        direct: How the same question to the server's own address ended; None where it was not
            asked, or has not been answered yet.
        findings: What the server's agent has found wrong there, oldest first.
    """
    compared = ""
    match direct:
        case Passed():
            compared = f"the application answers on {asked.member.address}, {_fault(asked, failed)}"
        case Failed(reason=reason):
            compared = f"nor does it answer directly: {reason}"
        case Inconclusive() | None:
            pass
    reported = [f"its agent reports {each}" for each in findings[-FINDINGS:]]
    return "; ".join(filter(None, (compared, *reported)))


def _fault(asked: CheckedServer, failed: Failed) -> str:
    server, vip = asked.id.target.server, asked.id.target.vip
    devices = _devices(asked)
    if failed.silent:
        return (
            f"nothing comes back through the tunnel: check {devices}, rp_filter and {vip} on "
            f"{server}, and what the network between drops"
        )
    return (
        f"but not for {vip}: check that {devices} is up on {server} and that the application "
        f"listens on {vip} or on all addresses"
    )


def _devices(asked: CheckedServer) -> str:
    encapsulation = (
        asked.member.encapsulation if asked.way is None else asked.way.path.encapsulation
    )
    vip, rip = family_of(asked.id.target.vip), family_of(asked.member.address)
    names = " or ".join(device_of(tunnel_of(encapsulation), vip, rip).names)
    if encapsulation.type is TunnelType.GUE:
        return f"fou port {encapsulation.port} and {names}"
    return names


def director_is_suspected(asked: CheckedServer, silent: int, answering: int) -> str:
    """Return why the silence of several servers counts for nothing.

    Args:
        asked: One of them.
        silent: How many fell silent together.
        answering: How many of these answer directly.
    """
    vip = asked.id.target.vip
    source = asked.way.egress.source if asked.way else "this director"
    return (
        f"all {silent} servers asked for {vip} fell silent at once, yet {answering} of them "
        f"answer directly, so this director is at fault rather than they. Let answers from {vip} "
        f"to {source} in: iptables -I INPUT -s {vip} -d {source} -j ACCEPT"
    )
