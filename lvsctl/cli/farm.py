"""``lvsctl apply``, ``diff`` and ``export``: the farm file, and the farm."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

import click

from lvsctl.cli.mode import mode_line
from lvsctl.cli.options import asks_director, read_by
from lvsctl.cli.output import Format, Json, sections, show
from lvsctl.errors import ConfigurationError, StaleRevision
from lvsctl.times import parse_duration

if TYPE_CHECKING:
    from lvsctl.cli.client import Answer, DirectorClient
    from lvsctl.cli.farm_file import FarmFile

FOUND_SOMETHING = 3

farm_file = click.option(
    "-f", "--file", "path", required=True, help="Farm file; - for standard input."
)


operations = click.option(
    "--operations", "all_operations", is_flag=True, help="List every operation on the kernel."
)


@click.command()
@farm_file
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--force", is_flag=True, help="Apply it even if it removes most of the farm.")
@click.option(
    "--wait",
    "wait_s",
    metavar="DURATION",
    callback=read_by(parse_duration),
    default="30s",
    show_default=True,
    help="How long to wait until the director's kernel has applied it, at most 60s.",
)
@click.option("--no-wait", is_flag=True, help="Return when it is stored.")
@operations
@asks_director
def apply(
    client: "DirectorClient",
    path: str,
    form: Format,
    *,
    dry_run: bool,
    force: bool,
    wait_s: int,
    no_wait: bool,
    all_operations: bool,
) -> None:
    """Make the farm match a file.

    Objects that are not in the file are removed; administrative states and agents are kept.
    If somebody changes the farm between what is shown and what is stored, nothing is stored.

    Exit status: 1 if the kernel has not applied it in time, with the reason.
    """
    file = _read(path)
    planned = _put(client, file, dry_run="true", force=_flag(force))
    answer = planned.document
    if dry_run or not answer["changes"]:
        show(answer, form, lambda: _changes(answer, all_operations=all_operations))
        return
    mode = client.get("v1", "mode").document
    observes = "" if mode["mode"] == "enforce" else mode_line(mode)
    wait = {} if no_wait or observes else {"wait": str(wait_s)}
    stored = _put(client, file, planned.etag, force=_flag(force), **wait).document
    stored |= {"differences": answer["differences"]}
    show(stored, form, lambda: _stored(stored, all_operations=all_operations))
    missing = observes or stored.get("reason", "")
    if missing:
        click.echo(f"the kernel has not applied it: {missing}", err=True)
        click.get_current_context().exit(0 if no_wait else 1)


@click.command()
@farm_file
@operations
@asks_director
def diff(client: "DirectorClient", path: str, form: Format, *, all_operations: bool) -> None:
    """Show what apply would change, field by field.

    Exit status 3 if it would change something.
    """
    answer = _put(client, _read(path), dry_run="true", force="true").document
    show(answer, form, lambda: _changes(answer, all_operations=all_operations))
    click.get_current_context().exit(FOUND_SOMETHING if answer["changes"] else 0)


@click.command()
@asks_director
def export(client: "DirectorClient", form: Format) -> None:
    """Print the farm as a farm file, which apply takes back.

    Administrative states and agents are not part of it.
    """
    answer = client.get("v1", "farm").document
    show(answer, Format.YAML if form is Format.TABLE else form, str)


def _flag(given: bool) -> str:  # noqa: FBT001 - the value of an option
    return "true" if given else "false"


def _read(path: str) -> "FarmFile":
    try:
        from lvsctl.cli.farm_file import read_farm_file  # noqa: PLC0415 - only here YAML is read
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"reading a farm file needs {error.name}: pip install 'lvsctl[director]'"
        ) from error
    return read_farm_file(path)


def _put(
    client: "DirectorClient", file: "FarmFile", etag: str | None = None, **parameters: str
) -> "Answer":
    from lvsctl.cli.client import DirectorRefused  # noqa: PLC0415 - as in options.director

    headers = {} if etag is None else {"If-Match": etag}
    try:
        return client.put("v1", "farm", body=file.farm, parameters=parameters, headers=headers)
    except DirectorRefused as error:
        if error.problems:
            raise file.explain(error.problems) from error
        if error.status == HTTPStatus.PRECONDITION_FAILED:
            raise StaleRevision(
                "somebody changed the farm after this was shown; nothing was stored. Look at the "
                "difference and run it again"
            ) from error
        raise


def _stored(answer: Json, *, all_operations: bool) -> str:
    stored = f"stored as revision {answer['revision']}"
    applied = ", applied by the kernel" if answer.get("applied") else ""
    return sections(_changes(answer, all_operations=all_operations), stored + applied)


def _changes(answer: Json, *, all_operations: bool) -> str:
    if not answer["changes"]:
        return "nothing to change"
    return sections(
        "\n".join(map(_difference, answer["differences"])),
        _operations(answer["operations"], everything=all_operations),
    )


def _difference(each: Json) -> str:
    """Return a difference as one line, coloured at a terminal."""
    match each["op"]:
        case "add":
            value = "" if isinstance(each["new"], dict) else f" {_written(each['new'])}"
            return click.style(f"+ {each['path']}{value}", fg="green")
        case "remove":
            value = "" if isinstance(each["old"], dict) else f" {_written(each['old'])}"
            return click.style(f"- {each['path']}{value}", fg="red")
        case _:
            old, new = _written(each["old"]), _written(each["new"])
            return click.style(f"~ {each['path']} {old} → {new}", fg="yellow")


def _written(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _operations(operations: Sequence[str], *, everything: bool) -> str:
    if not operations:
        return ""
    if everything:
        return "in the kernel:\n" + "\n".join(f"  {each}" for each in operations)
    number = f"{len(operations)} operations" if len(operations) > 1 else "1 operation"
    return f"in the kernel: {number} (--operations lists them)"
