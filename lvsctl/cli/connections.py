"""``lvsctl connections`` and ``lvsctl explain``: where connections go."""

from typing import TYPE_CHECKING

import click

from lvsctl.cli.options import asks_director
from lvsctl.cli.output import Format, Json, columns, fields, sections, show

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient


@click.group()
def connections() -> None:
    """List the connections in the kernel."""


@connections.command("list")
@click.option("--client", "of_client", metavar="ADDRESS", default="", help="Only this client's.")
@click.option("--server", metavar="ADDRESS", default="", help="Only those to this real server.")
@click.option("--service", metavar="NAME", default="", help="Only those of this service.")
@click.option("--offset", type=int, default=0, help="Where to begin, as the last page says.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@asks_director
def list_connections(
    client: "DirectorClient",
    form: Format,
    of_client: str,
    server: str,
    service: str,
    *,
    offset: int,
    limit: int,
) -> None:
    """List connections with their state and when the kernel forgets them.

    An entry with client port 0 keeps a client with its server (persistence).
    """
    wanted = {"client": of_client, "server": server, "service": service}
    parameters = {name: text for name, text in wanted.items() if text}
    parameters |= {"offset": str(offset), "limit": str(limit)}
    answer = client.get("v1", "connections", parameters=parameters).document
    show(answer, form, lambda: _table(answer))


def _table(answer: Json) -> str:
    headings = ("PROTOCOL", "CLIENT", "VIP", "REAL SERVER", "STATE", "EXPIRES")
    return sections(
        columns(headings, map(_row, answer["connections"])),
        "" if answer["next"] is None else f"there are more: --offset {answer['next']}",
    )


def _row(each: Json) -> tuple[object, ...]:
    return (
        each["protocol"],
        _endpoint(each["client"], each["client_port"]),
        _endpoint(each["vip"], each["vip_port"]),
        each["server"],
        each["state"],
        each["expires"],
    )


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@click.command()
@click.option("--client", "of_client", metavar="ADDRESS:PORT", required=True)
@click.option("--vip", metavar="ADDRESS:PORT", required=True)
@click.option(
    "--protocol", type=click.Choice(["tcp", "udp", "sctp"]), default="tcp", show_default=True
)
@asks_director
def explain(
    client: "DirectorClient", form: Format, of_client: str, vip: str, protocol: str
) -> None:
    """Say which real server a connection goes to, and why.

    It is what the kernel would do now: an entry in its table of connections, persistence, or the
    table of the schedulers mh and sh. Other schedulers choose by what happened before; then their
    candidates are shown.
    """
    flow = {"client": of_client, "vip": vip, "protocol": protocol}
    answer = client.get("v1", "explain", parameters=flow).document
    show(answer, form, lambda: _explanation(answer))


def _explanation(answer: Json) -> str:
    servers = [f"{each['name'] or 'unknown'} ({each['address']})" for each in answer["servers"]]
    entry = answer["connection"]
    return fields(
        [
            ("real server", ", ".join(servers) or "none"),
            ("reason", answer["reason"]),
            ("service", answer["service"]),
            ("virtual service", answer["key"]),
            ("connection", entry and f"{entry['state']}, expires in {entry['expires']}"),
        ]
    )
