"""lvsctl's own daemons."""

from collections.abc import Iterator

from lvsctl.doctor.facts import Facts
from lvsctl.doctor.findings import Finding, warning


def agent(facts: Facts) -> Iterator[Finding]:
    """If this real server has an agent, it is running."""
    if facts.real_server is not None and facts.real_server.agent_runs is False:
        yield warning(
            "agent",
            f"the agent of {facts.host} does not run",
            "what is set up stays, but nothing keeps it so and the director hears nothing",
            "systemctl start lvsctl-agent",
        )


def director(facts: Facts) -> Iterator[Finding]:
    """The director's daemon is running, and its API is ready."""
    if facts.director is None:
        return
    if facts.director.daemon_runs is False:
        yield warning(
            "director",
            f"the director's daemon does not run on {facts.host}",
            "the kernel goes on forwarding, but the table follows neither the farm nor the servers",
            "systemctl start lvsctl-director",
        )
    elif facts.director.api:
        yield warning(
            "director",
            f"the director's API is not ready: {facts.director.api}",
            "agents get no assignments and changes of the farm do not arrive",
            "journalctl -u lvsctl-director",
        )
