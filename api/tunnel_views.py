"""Point-to-point tunnels with their status, as documents. Pure."""

from datetime import timedelta

from api.schemas.base import Json
from api.schemas.tunnel import PointToPointTunnel, TunnelEndStatus, TunnelStatus
from api.views import DirectorSnapshot, age
from lvsctl.director.state import State
from lvsctl.errors import NotFound
from lvsctl.farm import tunnels as tunnel
from lvsctl.messages.model import Membership, TunnelEndState
from lvsctl.times import format_utc

SILENT_AFTER = timedelta(seconds=30)
"""Age of an agent's last report from which its contents count as unknown; one is due every 10 s."""


def tunnel_of(state: State, name: str) -> tunnel.Tunnel:
    """Return a tunnel, or raise NotFound."""
    found = state.farm.tunnels.get(name)
    if found is None:
        raise NotFound(f"there is no tunnel {name}")
    return found


def tunnel_document(declared: tunnel.Tunnel, snapshot: DirectorSnapshot) -> Json:
    """Return a tunnel with its status."""
    ends = [_end_status(declared.name, end.agent, snapshot) for end in declared.ends]
    down = [end for end in ends if end["state"] == "down"]
    status: TunnelStatus = {
        "state": "down" if down else "up",
        "reason": "; ".join(f"{end['agent']}: {end['reason']}" for end in down),
        "ends": ends,
    }
    return {**PointToPointTunnel.of(declared).plain(), "status": status}


def _end_status(name: str, agent: str, snapshot: DirectorSnapshot) -> TunnelEndStatus:
    reported = _reported(name, agent, snapshot)
    reason, since = _why_unknown(agent, reported, snapshot)
    if reported is not None and not reason:
        reason, since = reported.reason, reported.since
    return {
        "agent": agent,
        "state": "down" if reason else "up",
        "reason": reason,
        "since": since,
        "mtu": reported.mtu if reported else None,
        "round_trip_ms": reported.round_trip_us / 1000
        if reported and reported.round_trip_us is not None
        else None,
        "loss_percent": round(100 * reported.lost / reported.sent, 1)
        if reported and reported.sent
        else None,
    }


def _reported(name: str, agent: str, snapshot: DirectorSnapshot) -> TunnelEndState | None:
    contact = snapshot.contacts.get(agent)
    if contact is None or contact.report.farm_id != snapshot.state.farm_id:
        return None
    return next((end for end in contact.report.tunnel_ends if end.tunnel == name), None)


def _why_unknown(
    agent: str, reported: TunnelEndState | None, snapshot: DirectorSnapshot
) -> tuple[str, str | None]:
    """Return why the state of an end is unknown, and since when; empty if it is known."""
    member, contact = snapshot.state.status.agents.get(agent), snapshot.contacts.get(agent)
    if member is None:
        return f"agent {agent} has not joined", None
    if member.membership is Membership.LEFT:
        return f"agent {agent} has left", None
    if contact is None:
        return f"agent {agent} has not reported since this director started", None
    silent = timedelta(seconds=snapshot.now_s - contact.at_s)
    last = format_utc(snapshot.last_report_at(contact))
    if silent > SILENT_AFTER:
        return f"agent {agent} is silent for {age(snapshot, contact)}", last
    if reported is None:
        return f"agent {agent} has not set it up yet", last
    if not reported.up and not reported.reason:
        return "it is down", reported.since
    return "", None
