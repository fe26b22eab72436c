"""``lvsctl table``, ``lvsctl plan``, ``lvsctl status``: the observed state of the director."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from lvsctl.cli.mode import mode_line
from lvsctl.cli.options import asks_director
from lvsctl.cli.output import Format, Json, cell, columns, fields, sections, show

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient


@click.group()
def table() -> None:
    """Show the kernel's IPVS table."""


@table.command("show")
@asks_director
def show_table(client: "DirectorClient", form: Format) -> None:
    """Show the table with its counters.

    The virtual services for health checks are listed separately.
    """
    answer = client.get("v1", "table").document
    show(answer, form, lambda: _tables(answer))


def _tables(answer: Json) -> str:
    headings = ("VIRTUAL SERVICE", "SERVICE", "SCHEDULER", "DESTINATION", "METHOD", "WEIGHT")
    counters = ("ACTIVE", "INACTIVE", "CONNECTIONS", "CONNECTIONS/S")
    probes = answer["probes"]
    of_probes = columns((*headings, *counters), _table_rows(probes)) if probes else ""
    return sections(
        columns((*headings, *counters), _table_rows(answer["services"])),
        f"for health checks:\n{of_probes}" if of_probes else "",
    )


def _table_rows(services: Sequence[Json]) -> Iterator[tuple[object, ...]]:
    for service in services:
        head = (service["key"], service["service"], _scheduler(service))
        traffic = service["traffic"]
        total = (traffic["connections"], traffic["connections_per_s"])
        yield (*head, f"{len(service['destinations'])} in all", "", "", "", "", *total)
        for each in service["destinations"]:
            yield (
                *("", "", ""),
                _host_and_port(each),
                each["tunnel"] or each["forwarding"],
                each["weight"],
                each["active_connections"],
                each["inactive_connections"],
                each["traffic"]["connections"],
                each["traffic"]["connections_per_s"],
            )


def _host_and_port(destination: Json) -> str:
    address = destination["address"]
    return (
        f"[{address}]:{destination['port']}"
        if ":" in address
        else f"{address}:{destination['port']}"
    )


def _scheduler(service: Json) -> str:
    persistence = service["persistence"]
    kept = f"{persistence['timeout']}/{persistence['netmask']}" if persistence else ""
    return " ".join(filter(None, [service["scheduler"], ",".join(service["flags"]), kept]))


@click.group()
def plan() -> None:
    """Show how the kernel differs from the desired state."""


@plan.command("show")
@asks_director
def show_plan(client: "DirectorClient", form: Format) -> None:
    """Compare everything now, and write nothing."""
    answer = client.get("v1", "plan").document
    show(answer, form, lambda: _plan(answer))


def _plan(answer: Json) -> str:
    parts = {
        "changes to the IPVS table": answer["operations"],
        "changes to this host": answer["host_changes"],
        "conflicts (lvsctl service adopt NAME takes them over)": [
            f"{each['key']} of service {each['service']}: {each['reason']}"
            for each in answer["conflicts"]
        ],
        "not managed by lvsctl": answer["foreign"],
        "problems": answer["problems"],
    }
    listed = (
        f"{heading}:\n" + "\n".join(f"  {line}" for line in lines)
        for heading, lines in parts.items()
        if lines
    )
    return sections(*listed) or "nothing to change"


@click.command()
@asks_director
def status(client: "DirectorClient", form: Format) -> None:
    """Show the state of the director, its services and its agents."""
    answer = _status(client)
    show(answer, form, lambda: _summary(answer))


def _status(client: "DirectorClient") -> Json:
    return {
        "director": client.get("healthz").document["director"],
        "problems": client.get("v1", "problems").document["problems"],
        "mode": client.get("v1", "mode").document,
        "services": client.get("v1", "services").document["services"],
        "agents": client.get("v1", "agents").document["agents"],
    }


def _summary(answer: Json) -> str:
    problems = (f"director: {each['name']}: {each['detail']}" for each in answer["problems"])
    states = Counter(service["status"]["state"] for service in answer["services"])
    pending = (
        f"service {service['name']} is {service['status']['state']}: {service['status']['reason']}"
        for service in answer["services"]
        if service["status"]["state"] != "applied"
    )
    health = Counter(each["health"] for _, each in _checked(answer["services"]))
    checked = [("health", [f"{count} {word}" for word, count in health.items()])] if health else []
    unwell = (
        f"real server {each['server']} of service {name}: {each['reason']}"
        for name, each in _checked(answer["services"])
        if each["reason"]
    )
    broken = (
        f"agent {agent['name']}: {found['subject']}: {found['detail']}; {found['cure']}"
        for agent in answer["agents"]
        for found in agent["findings"]
        if found["severity"] == "broken"
    )
    return sections(
        fields(
            [
                ("director", answer["director"]),
                ("mode", mode_line(answer["mode"])),
                ("services", [f"{count} {state}" for state, count in states.items()]),
                *checked,
                ("agents", len(answer["agents"])),
            ]
        ),
        "\n".join(
            map(cell, [*problems, *pending, *_exceptions(answer["services"]), *unwell, *broken])
        ),
    )


def _checked(services: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """Yield the real servers of checked pools, each with the name of its service."""
    for service in services:
        for each in service["status"]["destinations"]:
            if each["health"]:
                yield service["name"], each


def _exceptions(services: Sequence[Json]) -> Iterator[str]:
    """Yield services in panic, without quorum, or served by their sorry server."""
    for service in services:
        health = service["status"]["health"] or {}
        for why in (health.get("panic"), health.get("lost_quorum")):
            if why:
                yield f"service {service['name']}: {why}"
        if health.get("sorry"):
            yield f"service {service['name']}: no server is healthy, the sorry server serves"
