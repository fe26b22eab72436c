"""``lvsctl apply``, ``diff`` and ``export``: the farm file, and the farm."""

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
from lvsctl.cli.output import Format, show
from lvsctl.errors import ConfigurationError

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient
    from lvsctl.cli.farm_file import FarmFile

FOUND_SOMETHING = 3

farm_file = click.option(
    "-f", "--file", "path", required=True, help="Farm file; - for standard input."
)


@click.command()
@farm_file
@dry_run_option
@force_option
@wait_options
@operations_option
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
    change = Change(client, _read(path), form, force=force, all_operations=all_operations)
    if dry_run:
        change.show()
    else:
        change.carry_out(None if no_wait else wait_s)


@click.command()
@click.option("-f", "--file", "path", help="Farm file; - for standard input.")
@click.option("--revision", type=click.IntRange(min=0), help="Compare with rollback instead.")
@operations_option
@asks_director
def diff(
    client: "DirectorClient",
    path: str | None,
    revision: int | None,
    form: Format,
    *,
    all_operations: bool,
) -> None:
    """Show what apply, or with --revision rollback, would change, field by field.

    Exit status 3 if it would change something.
    """
    if (path is None) == (revision is None):
        raise click.UsageError("give either --file or --revision")
    file = _read(path) if path is not None else past_farm(client, revision or 0)
    change = Change(client, file, form, force=True, all_operations=all_operations)
    change.show()
    click.get_current_context().exit(FOUND_SOMETHING if change.planned.document["changes"] else 0)


@click.command()
@click.option("--revision", type=click.IntRange(min=0), help="As it was at this revision.")
@asks_director
def export(client: "DirectorClient", revision: int | None, form: Format) -> None:
    """Print the farm as a farm file, which apply takes back.

    Administrative states and agents are not part of it.
    """
    parameters = {} if revision is None else {"revision": str(revision)}
    answer = client.get("v1", "farm", parameters=parameters).document
    show(answer, Format.YAML if form is Format.TABLE else form, str)


def _read(path: str) -> "FarmFile":
    try:
        from lvsctl.cli.farm_file import read_farm_file  # noqa: PLC0415 - only here YAML is read
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"reading a farm file needs {error.name}: pip install 'lvsctl[director]'"
        ) from error
    return read_farm_file(path)
