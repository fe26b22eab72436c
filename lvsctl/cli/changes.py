"""What a command changes: options that may be left out, and the answer to the write."""

import enum
from collections.abc import Callable, Mapping
from typing import Any

import click

from lvsctl.cli.output import Format, Json, show


class Unset(enum.Enum):
    """What an option says that takes a field away, as leaving it out says nothing."""

    UNSET = "unset"


def unset_by(word: str, read: Callable[[str], object]) -> Callable[[str], object]:
    """Return a reader for which one word takes the field away, and all else is read."""
    return lambda text: Unset.UNSET if text == word else read(text)


def merge_patch(options: Mapping[str, Any]) -> dict[str, Json]:
    """Return the options that were given as a merge patch (RFC 7396).

    Raises:
        click.UsageError: None was given.
    """
    patch = {
        field: None if value is Unset.UNSET else value
        for field, value in options.items()
        if value is not None
    }
    if not patch:
        raise click.UsageError("give at least one option that changes something")
    return patch


def declaration(options: Mapping[str, Any]) -> dict[str, Json]:
    """Return the options that were given as a new object."""
    return {field: value for field, value in options.items() if value not in (None, Unset.UNSET)}


def show_written(answer: Json, form: Format) -> None:
    """Print the answer to a write."""
    show(answer, form, lambda: "\n".join(answer["changes"]) or "nothing to change")
