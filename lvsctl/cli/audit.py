"""``lvsctl audit``: who changed what, and who was refused."""

from typing import TYPE_CHECKING

import click

from lvsctl.cli.options import asks_director
from lvsctl.cli.output import Format, Json, cell, columns, sections, show

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How many changes to show.",
)
@click.option("--before", type=click.IntRange(min=1), help="Only changes before this revision.")
@asks_director
def audit(client: "DirectorClient", limit: int, before: int | None, form: Format) -> None:
    """Show who changed what, and who was refused; the latest first."""
    parameters = {"limit": str(limit)} | ({"before": str(before)} if before else {})
    answer = client.get("v1", "audit", parameters=parameters).document
    show(answer, form, lambda: sections(_writes(answer["writes"]), _refusals(answer["refusals"])))


def _writes(writes: Json) -> str:
    return "\n".join(
        "\n".join([_heading(each), *(f"    {cell(line)}" for line in each["changes"])])
        for each in writes
    )


def _heading(write: Json) -> str:
    of = "this director" if write["revision"] is None else f"revision {write['revision']}"
    source = f" from {cell(write['source'])}" if write["source"] else ""
    return f"{write['at']}  {of}  by {cell(write['by'])}{source}"


def _refusals(refusals: Json) -> str:
    if not refusals:
        return ""
    headings = ("LAST", "FIRST", "TIMES", "REFUSED", "NAME", "REASON")
    fields = ("last", "first", "times", "source", "name", "reason")
    return columns(headings, ([each[field] for field in fields] for each in refusals))
