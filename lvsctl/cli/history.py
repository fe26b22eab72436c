"""``lvsctl history`` and ``lvsctl rollback``: the farm's past."""

from typing import TYPE_CHECKING

import click

from lvsctl.cli.farm_change import (
    Change,
    dry_run_option,
    force_option,
    operations_option,
    past_farm,
    wait_options,
)
from lvsctl.cli.options import asks_director
from lvsctl.cli.output import Format, Json, cell, show

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient


@click.command()
@click.option("--object", "of", metavar="KIND/NAME", help="Only changes of service/web, …")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--before", type=click.IntRange(min=1), help="Only changes before this revision.")
@asks_director
def history(
    client: "DirectorClient", of: str | None, limit: int, before: int | None, form: Format
) -> None:
    """Show who changed the farm and when, the latest first."""
    wanted = {"object": of, "limit": str(limit), "before": before and str(before)}
    parameters = {name: text for name, text in wanted.items() if text}
    answer = client.get("v1", "history", parameters=parameters).document
    show(answer, form, lambda: _history(answer["commits"]))


def _history(commits: Json) -> str:
    return "\n".join(
        "\n".join(
            [
                f"{each['at']}  revision {each['revision']}  by {cell(each['by'])}",
                *(f"    {cell(line)}" for line in each["changes"] or each["objects"]),
            ]
        )
        for each in commits
    )


@click.command()
@click.argument("revision", type=click.IntRange(min=0))
@dry_run_option
@force_option
@wait_options
@operations_option
@asks_director
def rollback(
    client: "DirectorClient",
    revision: int,
    form: Format,
    *,
    dry_run: bool,
    force: bool,
    wait_s: int,
    no_wait: bool,
    all_operations: bool,
) -> None:
    """Make the farm what it was at a revision; lvsctl history lists them.

    It is a change like any other: checked, refused if it removes most of the farm, and in the
    history itself. Administrative states, agents and tokens stay as they are.
    """
    past = past_farm(client, revision)
    change = Change(client, past, form, force=force, all_operations=all_operations)
    if dry_run:
        change.show()
    else:
        change.carry_out(None if no_wait else wait_s)
