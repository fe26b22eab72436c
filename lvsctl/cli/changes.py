"""Options of commands that change objects, as request bodies, and the answers to writes."""

import enum
from collections.abc import Callable, Mapping
from typing import Any

import click

from lvsctl.cli.output import Format, Json, show


class Unset(enum.Enum):
    """Value of an option that removes a field; None means the option was not given."""

    UNSET = "unset"


def unset_by(word: str, read: Callable[[str], object]) -> Callable[[str], object]:
    """Return a parser for which one word removes the field."""
    return lambda text: Unset.UNSET if text == word else read(text)


def merge_patch(options: Mapping[str, Any]) -> dict[str, Json]:
    """Return the given options as a merge patch (RFC 7396).

    Raises:
        click.UsageError: No option was given.
    """
    patch = {
        field: None if value is Unset.UNSET else value
        for field, value in options.items()
        if value is not None
    }
    if not patch:
        raise click.UsageError("nothing to change: give at least one option")
    return patch


def declaration(options: Mapping[str, Any]) -> dict[str, Json]:
    """Return the given options as a new object."""
    return {field: value for field, value in options.items() if value not in (None, Unset.UNSET)}


def show_written(answer: Json, form: Format) -> None:
    """Print the answer to a write."""
    show(answer, form, lambda: "\n".join(answer["changes"]) or "nothing to change")
