"""Output of commands: tables for people, JSON or YAML for programs."""

import enum
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

Json = Any
"""A JSON value as :mod:`json` reads it."""


class Format(enum.StrEnum):
    """Output format."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def show(document: Json, form: Format, table: Callable[[], str]) -> None:
    """Print a document of the director, or a table made from it."""
    match form:
        case Format.JSON:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        case Format.YAML:
            try:
                import yaml  # noqa: PLC0415 - only this form needs it
            except ModuleNotFoundError as error:
                raise click.ClickException(
                    "-o yaml needs PyYAML, which is not installed: pip install 'lvsctl[director]', "
                    "or use -o json"
                ) from error
            click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
        case Format.TABLE:
            click.echo(table())


def columns(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format rows under headings, in aligned columns."""
    cells = [list(headings), *(list(map(cell, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """Format names with their values, one per line."""
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0) + 1
    return "\n".join(f"{name + ':':<{width}} {cell(value)}".rstrip() for name, value in pairs)


def cell(value: object) -> str:
    """Format a value on one line, ``-`` for nothing.

    Non-printable characters are replaced: text reported by real servers is shown here too and must
    not control the terminal.
    """
    match value:
        case None | [] | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ",".join(map(cell, value))
        case _:
            return "".join(each if each.isprintable() else "�" for each in str(value))


def sections(*parts: str) -> str:
    """Join non-empty parts with an empty line between them."""
    return "\n\n".join(part for part in parts if part)
