"""``lvsctl watch``: events, live."""

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
    help="Start after the event with this id; 0 for the whole history.  [new events only]",
)
@click.option("--once", is_flag=True, help="Show the history, or the part after --after, and exit.")
@asks_director
def watch(client: "DirectorClient", after: int | None, form: Format, *, once: bool) -> None:
    """Show events, live.

    Changes of the farm and the kernel, repaired drift, conflicts, problems, agents and drains. With
    -o json each line is one event. If the director restarts, watch reconnects and misses nothing.
    """
    last_id = 0 if once and after is None else after
    for event in _events(client, last_id, once=once):
        click.echo(_line(event, form))


def _events(client: "DirectorClient", last_id: int | None, *, once: bool) -> Iterator[Json]:
    """Yield events, reconnecting whenever an established connection breaks."""
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
