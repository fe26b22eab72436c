"""``lvsctl pause`` and ``lvsctl resume``: stop and resume writing to the kernel."""

from typing import TYPE_CHECKING

import click

from lvsctl.cli.options import asks_director, duration, read_by
from lvsctl.cli.output import Format, Json, show

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient

reason_option = click.option("--reason", default="", help="Reason, shown in status.")


@click.command()
@click.option(
    "--for",
    "lasts",
    metavar="TIME",
    callback=read_by(duration),
    help="Duration, like 30m.  [until resume]",
)
@reason_option
@asks_director
def pause(client: "DirectorClient", lasts: str | None, reason: str, form: Format) -> None:
    """Stop writing to the kernel.

    The director keeps observing, planning and answering; the kernel keeps forwarding as it is.
    """
    asked = {"mode": "observe", "reason": reason} | ({"for": lasts} if lasts else {})
    answer = client.put("v1", "mode", body=asked).document
    show(answer, form, lambda: mode_line(answer))


@click.command()
@reason_option
@asks_director
def resume(client: "DirectorClient", reason: str, form: Format) -> None:
    """Write to the kernel again, after pause or --observe."""
    answer = client.put("v1", "mode", body={"mode": "enforce", "reason": reason}).document
    show(answer, form, lambda: mode_line(answer))


def mode_line(mode: Json) -> str:
    """Describe the mode of a director in a sentence."""
    if mode["mode"] == "enforce":
        return "the director writes to the kernel"
    until = f" until {mode['until']}" if mode["until"] else ""
    by = f" (by {mode['by']})" if mode["by"] else ""
    why = f": {mode['reason']}" if mode["reason"] else ""
    return f"the director only observes{until}{by}{why}; to end that: lvsctl resume"
