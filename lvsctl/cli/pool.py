"""``lvsctl pool``: the farm's pools."""

from typing import TYPE_CHECKING, Any

import click

from lvsctl.cli.changes import declaration, merge_patch, show_written
from lvsctl.cli.options import asks_director
from lvsctl.cli.output import Format, Json, columns, fields, sections, show
from lvsctl.cli.tunnel_options import tunnel_options, tunnel_patch

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient


@click.group()
def pool() -> None:
    """List, show and change pools."""


@pool.command("list")
@asks_director
def list_(client: "DirectorClient", form: Format) -> None:
    """List the pools."""
    answer = client.get("v1", "pools").document
    show(
        answer,
        form,
        lambda: columns(
            ("NAME", "TUNNEL", "SERVICES", "REAL SERVERS", "SERVING"), map(_row, answer["pools"])
        ),
    )


@pool.command("show")
@click.argument("name")
@asks_director
def show_(client: "DirectorClient", name: str, form: Format) -> None:
    """Show a pool with its real servers."""
    answer = client.get("v1", "pools", name).document
    show(answer, form, lambda: _details(answer))


@pool.command()
@click.argument("name")
@tunnel_options
@asks_director
def add(
    client: "DirectorClient",
    /,
    name: str,
    form: Format,
    **options: Any,  # noqa: ANN401 - each of its own type
) -> None:
    """Add a pool without servers; see lvsctl server add."""
    body = declaration({"tunnel": tunnel_patch(options)})
    answer = client.create("v1", "pools", name, body=body).document
    show_written(answer, form)


@pool.command("set")
@click.argument("name")
@tunnel_options
@asks_director
def set_(
    client: "DirectorClient",
    /,
    name: str,
    form: Format,
    **options: Any,  # noqa: ANN401 - each of its own type
) -> None:
    """Change a pool's given options.

    Servers switch to another tunnel one by one, each once its agent has reported it ready.
    """
    patch = merge_patch({"tunnel": tunnel_patch(options)})
    answer = client.patch("v1", "pools", name, body=patch).document
    show_written(answer, form)


@pool.command()
@click.argument("name")
@asks_director
def remove(client: "DirectorClient", name: str, form: Format) -> None:
    """Remove a pool that no service uses."""
    answer = client.delete("v1", "pools", name).document
    show_written(answer, form)


def _row(pool: Json) -> tuple[object, ...]:
    servers = pool["status"]["real_servers"]
    return (
        pool["name"],
        pool["status"]["tunnel"],
        pool["status"]["services"],
        len(servers),
        sum(1 for server in servers if server["weight"]),
    )


def _details(pool: Json) -> str:
    return sections(
        fields(
            [
                ("name", pool["name"]),
                ("tunnel", pool["status"]["tunnel"]),
                ("tunnel MTU", pool["tunnel"].get("mtu")),
                ("services", pool["status"]["services"]),
                ("health checks", [check["type"] for check in pool["health_checks"]]),
            ]
        ),
        columns(
            ("REAL SERVER", "ADDRESS", "ORIGIN", "STATE", "HEALTH", "TUNNEL", "WEIGHT", "REASON"),
            (
                (
                    server["name"],
                    server["address"],
                    server["origin"],
                    server["state"],
                    server["health"],
                    server["tunnel"],
                    server["weight"],
                    server["reason"],
                )
                for server in pool["status"]["real_servers"]
            ),
        ),
    )
