"""Replaces the farm by another one: shows what that changes, then stores just that."""

import json
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

import click

from lvsctl.cli.mode import mode_line
from lvsctl.cli.options import read_by
from lvsctl.cli.output import Format, Json, sections, show
from lvsctl.errors import StaleRevision
from lvsctl.times import parse_duration

if TYPE_CHECKING:
    from lvsctl.cli.client import Answer, DirectorClient
    from lvsctl.cli.farm_file import FarmFile

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show what would change, and change nothing."
)
operations_option = click.option(
    "--operations", "all_operations", is_flag=True, help="List every operation on the kernel."
)


force_option = click.option(
    "--force", is_flag=True, help="Do it even if it removes most of the farm."
)


def wait_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how long to wait for the kernel."""
    for option in (
        click.option("--no-wait", is_flag=True, help="Return when it is stored."),
        click.option(
            "--wait",
            "wait_s",
            metavar="DURATION",
            callback=read_by(parse_duration),
            default="30s",
            show_default=True,
            help="How long to wait until the director's kernel has applied it, at most 60s.",
        ),
    ):
        command = option(command)
    return command


class Change:
    """A farm that is to replace the present one, and what that would change.

    Args:
        client: Of the director.
        file: The farm.
        form: Output format.
        force: Do it even if it removes most of the farm.
        all_operations: List every operation on the kernel.
    """

    def __init__(
        self,
        client: "DirectorClient",
        file: "FarmFile",
        form: Format,
        *,
        force: bool,
        all_operations: bool,
    ) -> None:
        self._client = client
        self._file = file
        self._form = form
        self._force = "true" if force else "false"
        self._all_operations = all_operations
        self.planned = self._put(dry_run="true")

    def show(self) -> None:
        """Print what would change."""
        answer = self.planned.document
        show(answer, self._form, lambda: _changes(answer, all_operations=self._all_operations))

    def carry_out(self, wait_s: int | None) -> None:
        """Store exactly what was planned, print it, and wait for the kernel; None does not."""
        planned = self.planned.document
        if not planned["changes"]:
            self.show()
            return
        mode = self._client.get("v1", "mode").document
        observes = "" if mode["mode"] == "enforce" else mode_line(mode)
        wait = {} if wait_s is None or observes else {"wait": str(wait_s)}
        stored = self._put(self.planned.etag, **wait).document
        stored |= {"differences": planned["differences"]}
        show(stored, self._form, lambda: _stored(stored, all_operations=self._all_operations))
        missing = observes or stored.get("reason", "")
        if missing:
            click.echo(f"the kernel has not applied it: {missing}", err=True)
            click.get_current_context().exit(0 if wait_s is None else 1)

    def _put(self, etag: str | None = None, **parameters: str) -> "Answer":
        from lvsctl.cli.client import DirectorRefused  # noqa: PLC0415 - as in options.director

        headers = {} if etag is None else {"If-Match": etag}
        parameters["force"] = self._force
        try:
            return self._client.put(
                "v1", "farm", body=self._file.farm, parameters=parameters, headers=headers
            )
        except DirectorRefused as error:
            if error.problems:
                raise self._file.explain(error.problems) from error
            if error.status == HTTPStatus.PRECONDITION_FAILED:
                raise StaleRevision(
                    "somebody changed the farm after this was shown; nothing was stored. Look at "
                    "the difference and run it again"
                ) from error
            raise


def past_farm(client: "DirectorClient", revision: int) -> "FarmFile":
    """Return the farm as it was at a revision, as a file."""
    from lvsctl.cli.farm_file import FarmFile  # noqa: PLC0415 - only here YAML is read
    from lvsctl.cli.yaml12 import Document  # noqa: PLC0415

    past = client.get("v1", "farm", parameters={"revision": str(revision)}).document
    return FarmFile(f"revision {revision}", Document(past, {}))


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
