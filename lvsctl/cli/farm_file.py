"""Reads the farm file, and locates every problem at its line."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lvsctl.cli.yaml12 import Document, Json, Located, WrongYaml, read
from lvsctl.errors import ConfigurationError, InvalidInput, Problem

MAX_BYTES = 32 * 1024 * 1024
"""A hundred thousand real servers need a fifth of it; the director accepts no larger farm."""


class WrongFarmFile(InvalidInput):
    """A farm file with problems, in the order of their lines."""

    def __init__(self, name: str, found: Sequence[Located]) -> None:
        super().__init__([each.problem for each in found])
        self.name = name
        self.found = tuple(sorted(found, key=lambda each: each.line))

    def __str__(self) -> str:
        return "\n".join(f"{self.name}:{each.line}: {each.problem}" for each in self.found)


@dataclass(frozen=True, slots=True)
class FarmFile:
    """A parsed farm file.

    Attributes:
        name: Path as given on the command line.
        document: Its contents with line numbers.
    """

    name: str
    document: Document

    @property
    def farm(self) -> Json:
        """The farm as a document of the REST API."""
        return self.document.value

    def explain(self, problems: Sequence[Problem]) -> WrongFarmFile:
        """Return the director's problems as an error with the lines of this file."""
        return WrongFarmFile(
            self.name,
            [Located(self.document.line_of(problem.pointer), problem) for problem in problems],
        )


def read_farm_file(path: str) -> FarmFile:
    """Read a farm file, ``-`` for standard input.

    Raises:
        ConfigurationError: It cannot be read.
        WrongFarmFile: It is not YAML with one mapping.
    """
    name = "<stdin>" if path == "-" else path
    text = _decoded(name, _read(path))
    try:
        document = read(text)
    except WrongYaml as error:
        raise WrongFarmFile(name, error.found) from error
    if not isinstance(document.value, dict):
        problem = Problem("", "it is not a mapping", "a mapping with services: and pools:")
        raise WrongFarmFile(name, [Located(document.line_of(""), problem)])
    return FarmFile(name, document)


def _read(path: str) -> bytes:
    try:
        if path == "-":
            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise ConfigurationError(f"{path}: it is larger than {MAX_BYTES} bytes; is it a farm file?")
    return raw


def _decoded(name: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        problem = Problem("", f"byte {raw[error.start]:#04x} is not UTF-8", "text in UTF-8")
        raise WrongFarmFile(name, [Located(line, problem)]) from error
