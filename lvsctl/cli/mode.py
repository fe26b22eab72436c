"""``lvsctl pause`` and ``lvsctl resume``: whether the director writes its kernel."""

from typing import TYPE_CHECKING

import click

from lvsctl.cli.options import asks_director, duration, read_by
from lvsctl.cli.output import Format, Json, show

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient

because = click.option("--reason", default="", help="Why, for those who wonder.")


@click.command()
@click.option(
    "--for",
    "lasts",
    metavar="TIME",
    callback=read_by(duration),
    help="How long, like 30m; left out, until resume.",
)
@because
@asks_director
def pause(client: "DirectorClient", lasts: str | None, reason: str, form: Format) -> None:
    """Keep hands off the kernel.

    The director looks, plans and answers, and writes nothing; what is forwarded stays as it is.
    """
    asked = {"mode": "observe", "reason": reason} | ({"for": lasts} if lasts else {})
    answer = client.put("v1", "mode", body=asked).document
    show(answer, form, lambda: mode_line(answer))


@click.command()
@because
@asks_director
def resume(client: "DirectorClient", reason: str, form: Format) -> None:
    """Write the kernel again, after pause or --observe."""
    answer = client.put("v1", "mode", body={"mode": "enforce", "reason": reason}).document
    show(answer, form, lambda: mode_line(answer))


def mode_line(mode: Json) -> str:
    """Return what a director does to its kernel, in a sentence."""
    if mode["mode"] == "enforce":
        return "the director writes its kernel"
    until = f" until {mode['until']}" if mode["until"] else ""
    by = f" (by {mode['by']})" if mode["by"] else ""
    why = f": {mode['reason']}" if mode["reason"] else ""
    return f"the director only observes{until}{by}{why}; lvsctl resume ends that"
