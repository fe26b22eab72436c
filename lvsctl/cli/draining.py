"""Waits for a drain to end, reporting its progress."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lvsctl.cli.output import Json
from lvsctl.cli.real_servers import path_of

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient

POLL_S = 1.0
EMPTY_POLLS = 2
"""Polls without connections until drained: one being opened when the weight became 0 is counted
only once it is established."""


def wait_until_drained(
    client: "DirectorClient", name: str, pools: Sequence[str], say: Callable[[str], None]
) -> Sequence[Json]:
    """Wait until a server is drained in every pool, and return how each drain ended.

    Args:
        client: Client of the director.
        name: Name of the server.
        pools: Pools in which it is drained.
        say: Called with a line of text whenever the number of connections has changed.
    """
    return [_wait(client, name, pool, say) for pool in pools]


def _wait(client: "DirectorClient", name: str, pool: str, say: Callable[[str], None]) -> Json:
    said, empty, outcome = "", 0, ""
    while True:
        status = client.get(*path_of(pool, name)).document["status"]
        empty = empty + 1 if status["drain"] and status["drain"]["connections"] == 0 else 0
        line = f"{pool}/{name}: {_progress(status['drain'])}"
        if status["drain"] and line != said:
            say(line)
            said = line
        outcome = _outcome(status, drained=empty >= EMPTY_POLLS)
        if outcome:
            return {"pool": pool, "name": name, "outcome": f"{pool}/{name}: {outcome}", **status}
        time.sleep(POLL_S)


def _progress(drain: Json) -> str:
    if not drain or drain["connections"] is None:
        return "counting connections"
    is_falling = drain["connections"] and drain["gone_in"]
    gone_in = f", gone in about {drain['gone_in']}" if is_falling else ""
    until = f", until {drain['deadline']}" if drain["deadline"] else ""
    return f"{drain['connections']} connections{gone_in}{until}"


def _outcome(status: Json, *, drained: bool) -> str:
    """Return how the drain ended; empty while it continues."""
    drain = status["drain"]
    if not drain:
        return str(status["reason"]) or f"{status['state']}, the drain was ended"
    if drained:
        return "drained, no connections remain"
    if drain["overdue"] and drain["at_deadline"] == "keep":
        return f"the deadline has passed, {drain['connections']} connections continue"
    return ""
