"""``lvsctl watch``: what happens, while it happens."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from lvsctl.cli.options import asks_director
from lvsctl.cli.output import Format, Json, cell
from lvsctl.errors import DirectorUnreachable

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient

RETRY_S = 1.0


@click.command()
@click.option(
    "--after",
    type=click.IntRange(min=0),
    help="Begin with what followed this event, 0 for all that is kept; left out: from now on.",
)
@click.option("--once", is_flag=True, help="End with what is known, all of it unless --after.")
@asks_director
def watch(client: "DirectorClient", after: int | None, form: Format, *, once: bool) -> None:
    """Show what happens, live.

    Stored changes, changes of the kernel and drift put right, conflicts, problems, agents, drains.
    With -o json each line is one event. A director that restarts is waited for; nothing is missed
    meanwhile.
    """
    last_id = 0 if once and after is None else after
    for event in _events(client, last_id, once=once):
        click.echo(_line(event, form))


def _events(client: "DirectorClient", last_id: int | None, *, once: bool) -> Iterator[Json]:
    """Yield events; once the first connection stood, connect again as often as it breaks."""
    connected = False
    while True:
        try:
            for fields in client.events(last_id, follow=not once):
                connected = True
                last_id = int(fields.get("id", last_id or 0))
                if "data" in fields:
                    yield json.loads(fields["data"])
        except DirectorUnreachable as error:
            if not connected or once:
                raise
            click.echo(f"lvsctl: {error}; trying again", err=True)
        if once:
            return
        time.sleep(RETRY_S)


def _line(event: Json, form: Format) -> str:
    if form is Format.JSON:
        return json.dumps(event, ensure_ascii=False)
    if form is Format.YAML:
        return "- " + json.dumps(event, ensure_ascii=False)  # JSON is YAML
    by = f" (by {cell(event['by'])})" if event.get("by") else ""
    subject = f" {cell(event['subject'])}:" if event.get("subject") else ""
    head = f"{event.get('at', '-')}  {event['kind']}{subject} {cell(event['detail'])}{by}"
    return "\n".join([head, *(f"    {cell(item)}" for item in event.get("items", ()))])
