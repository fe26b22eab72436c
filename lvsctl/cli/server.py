"""``lvsctl server``: the real servers of the pools."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from lvsctl.cli.changes import declaration, merge_patch, show_written, unset_by
from lvsctl.cli.options import asks_director, number, read_by
from lvsctl.cli.output import Format, Json, columns, fields, sections, show
from lvsctl.cli.real_servers import change_override, only_pool_with, path_of, pools_with

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient

FIELDS = ("pool", "name", "address", "origin", "state", "weight", "reason")

in_pool = click.option("--pool", help="Its pool; may be left out where only one has it.")
in_pools = click.option("--pool", help="Its pool; left out, every pool that has it.")
because = click.option("--reason", default="", help="Why, for those who wonder.")
upper = click.option("--upper-threshold", type=int, help="No new connections above so many.")
lower = click.option("--lower-threshold", type=int, help="New connections again below so many.")


@click.group()
def server() -> None:
    """List, show and change real servers; drain them."""


@server.command("list")
@click.option("--pool", help="Only of this pool.")
@asks_director
def list_(client: "DirectorClient", pool: str | None, form: Format) -> None:
    """List the real servers.

    The declared ones and those that agents brought, by pool.
    """
    found = client.get("v1", "pools", *([pool] if pool else [])).document
    servers = [
        {"pool": each["name"], **member}
        for each in ([found] if pool else found["pools"])
        for member in each["status"]["real_servers"]
    ]
    show({"real_servers": servers}, form, lambda: _listed(servers))


@server.command("show")
@click.argument("name")
@in_pool
@asks_director
def show_(client: "DirectorClient", name: str, pool: str | None, form: Format) -> None:
    """Show a real server.

    What is declared, how it stands in each service, and its agent.
    """
    home = pool or only_pool_with(client, name)
    answer = {"pool": home, **client.get(*path_of(home, name)).document}
    show(answer, form, lambda: _details(answer))


@server.command()
@click.argument("name")
@click.option("--pool", required=True, help="The pool that declares it.")
@click.option("--address", required=True, help="Where tunnelled packets go (RIP).")
@click.option("--weight", type=int, help="0 takes no new connections.")
@upper
@lower
@asks_director
def add(client: "DirectorClient", /, name: str, pool: str, form: Format, **options: object) -> None:
    """Declare a real server of a pool."""
    answer = client.create(*path_of(pool, name), body=declaration(options)).document
    show_written(answer, form)


@server.command("set")
@click.argument("name")
@in_pool
@click.option("--address", help="Declares another address.")
@click.option("--declared-weight", type=int, help="Declares another weight.")
@upper
@lower
@click.option(
    "--state",
    type=click.Choice(["enabled", "draining", "disabled"]),
    help="At run time: draining keeps its connections, disabled is out.",
)
@click.option(
    "--weight",
    metavar="WEIGHT",
    callback=read_by(unset_by("declared", number)),
    help="At run time, instead of the declared one; declared ends that.",
)
@because
@asks_director
def set_(
    client: "DirectorClient",
    /,
    name: str,
    pool: str | None,
    form: Format,
    **options: Any,  # noqa: ANN401 - each of its own type
) -> None:
    """Change a real server.

    Either what is declared of it, or how it stands at run time.

    What is set at run time (--state, --weight) outlives apply and the return of an agent.
    """
    reason, declared_weight = options.pop("reason"), options.pop("declared_weight")
    standing = {field: options.pop(field) for field in ("state", "weight")}
    declared = {**options, "weight": declared_weight}
    if not _given(standing):
        patch = merge_patch(declared)
        home = pool or only_pool_with(client, name)
        answer = client.patch(*path_of(home, name), body=patch)
    elif _given(declared):
        raise click.UsageError("what is declared and what is set at run time are two changes")
    else:
        home = pool or only_pool_with(client, name)
        answer = change_override(client, home, name, {**standing, "reason": reason})
    show_written(answer.document, form)


@server.command()
@click.argument("name")
@in_pool
@asks_director
def remove(client: "DirectorClient", name: str, pool: str | None, form: Format) -> None:
    """Remove a declared real server from its pool."""
    answer = client.delete(*path_of(pool or only_pool_with(client, name), name)).document
    show_written(answer, form)


@server.command()
@click.argument("name")
@in_pools
@because
@asks_director
def drain(client: "DirectorClient", name: str, pool: str | None, reason: str, form: Format) -> None:
    """Give it no new connections; those that it has go on."""
    answer = _override_everywhere(client, name, pool, {"state": "draining", "reason": reason})
    show_written(answer, form)


@server.command()
@click.argument("name")
@in_pools
@asks_director
def undrain(client: "DirectorClient", name: str, pool: str | None, form: Format) -> None:
    """Give it new connections again, drained or disabled."""
    answer = _override_everywhere(client, name, pool, {"state": "enabled"})
    show_written(answer, form)


def _override_everywhere(
    client: "DirectorClient", name: str, pool: str | None, changes: Mapping[str, object]
) -> Json:
    """Return the answers of all pools as one."""
    answers = [
        change_override(client, home, name, changes).document
        for home in ([pool] if pool else pools_with(client, name))
    ]
    return {
        "revision": max(answer["revision"] for answer in answers),
        "changes": [each for answer in answers for each in answer["changes"]],
        "operations": [each for answer in answers for each in answer["operations"]],
    }


def _listed(servers: Sequence[Json]) -> str:
    headings = [field.upper() for field in FIELDS]
    return columns(headings, ([server[field] for field in FIELDS] for server in servers))


def _given(options: Mapping[str, object]) -> bool:
    return any(value is not None for value in options.values())


def _details(server: Json) -> str:
    status = server["status"]
    agent = status["agent"] or {}
    return sections(
        fields(
            [
                ("name", server["name"]),
                ("pool", server["pool"]),
                ("address", server["address"]),
                ("origin", status["origin"]),
                ("declared weight", server["weight"]),
                ("upper threshold", server["upper_threshold"]),
                ("lower threshold", server["lower_threshold"]),
                ("state", status["state"]),
                ("reason", status["reason"]),
                ("agent", agent.get("name")),
                ("membership", agent.get("membership")),
                ("last report", f"{agent['age']} ago" if agent.get("age") else None),
            ]
        ),
        columns(
            ("SERVICE", "WEIGHT", "REASON"),
            ((each["service"], each["weight"], each["reason"]) for each in status["services"]),
        ),
    )
