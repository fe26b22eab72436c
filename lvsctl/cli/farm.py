"""``lvsctl apply`` and ``lvsctl diff``: apply a farm file, or compare it with the farm."""

from typing import TYPE_CHECKING

import click

from lvsctl.cli.mode import mode_line
from lvsctl.cli.options import asks_director
from lvsctl.cli.output import Format, Json, sections, show
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
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--force", is_flag=True, help="Apply it even if it removes most of the farm.")
@asks_director
def apply(client: "DirectorClient", path: str, form: Format, *, dry_run: bool, force: bool) -> None:
    """Make the farm match a file.

    Objects that are not in the file are removed; administrative states and agents are kept.
    """
    answer = _put(client, _read(path), dry_run=dry_run, force=force)
    mode = client.get("v1", "mode").document
    show(answer, form, lambda: _changes(answer) if dry_run else _written(answer, mode))


@click.command()
@farm_file
@asks_director
def diff(client: "DirectorClient", path: str, form: Format) -> None:
    """Show what apply would change.

    Exit status 3 if it would change something.
    """
    answer = _put(client, _read(path), dry_run=True, force=True)
    show(answer, form, lambda: _changes(answer))
    click.get_current_context().exit(FOUND_SOMETHING if answer["changes"] else 0)


def _read(path: str) -> "FarmFile":
    try:
        from lvsctl.cli.farm_file import read_farm_file  # noqa: PLC0415 - only here YAML is read
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"reading a farm file needs {error.name}: pip install 'lvsctl[director]'"
        ) from error
    return read_farm_file(path)


def _put(client: "DirectorClient", file: "FarmFile", *, dry_run: bool, force: bool) -> Json:
    from lvsctl.cli.client import DirectorRefused  # noqa: PLC0415 - as in options.director

    flags = {"dry_run": dry_run, "force": force}
    asked = {name: "true" for name, given in flags.items() if given}
    try:
        return client.put("v1", "farm", body=file.farm, parameters=asked).document
    except DirectorRefused as error:
        if error.problems:
            raise file.explain(error.problems) from error
        raise


def _written(answer: Json, mode: Json) -> str:
    stored = f"stored as revision {answer['revision']}" if answer["changes"] else ""
    return sections(_changes(answer), stored, "" if mode["mode"] == "enforce" else mode_line(mode))


def _changes(answer: Json) -> str:
    if not answer["changes"]:
        return "nothing to change"
    operations = "\n".join(f"  {operation}" for operation in answer["operations"])
    return sections(
        "\n".join(answer["changes"]), f"in the kernel:\n{operations}" if operations else ""
    )
