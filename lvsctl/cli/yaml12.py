"""Strict YAML: the 1.2 core schema with unique keys, no aliases, and line numbers.

PyYAML reads YAML 1.1, where ``on`` is true and ``12:30`` a number, and silently drops the first of
two equal keys. Only its event parser is used here, and values are built from the events; this also
bounds recursion on deep nesting.

Source: YAML 1.2.2, chapter 10.3; JSON pointers are RFC 6901.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.reader import ReaderError

from lvsctl.errors import Problem

try:
    from yaml import CBaseLoader as Loader
except ImportError:  # PyYAML without libyaml: the same events, some ten times slower
    from yaml import BaseLoader as Loader  # type: ignore[assignment]

Json = Any
"""A JSON value as :mod:`json` reads it."""

MAX_DEPTH = 30
_TOO_DEEP = Problem("", "it is nested too deeply", f"up to {MAX_DEPTH} levels")
_LIBYAML_TOO_DEEP = "exceeded maximum nesting depth"
MAX_DIGITS = 20
"""Longer numbers are read as text; no number in a farm file is as long."""

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(rf"[-+]?[0-9]{{1,{MAX_DIGITS}}}")
_OCTAL = re.compile(rf"0o[0-7]{{1,{MAX_DIGITS}}}")
_HEXADECIMAL = re.compile(rf"0x[0-9a-fA-F]{{1,{MAX_DIGITS}}}")
_FLOAT = re.compile(
    r"[-+]?((\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]{1,2})?|[0-9]+[eE][-+]?[0-9]{1,2})"
)


@dataclass(frozen=True, slots=True)
class Located:
    """A problem and its line, counted from 1."""

    line: int
    problem: Problem


class WrongYaml(ValueError):
    """Not YAML, or YAML with unsupported features."""

    def __init__(self, found: list[Located]) -> None:
        super().__init__("; ".join(str(each.problem) for each in found))
        self.found = found


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document with line numbers.

    Attributes:
        value: As a JSON value.
        lines: Line of each key or item, by JSON pointer, counted from 1.
    """

    value: Json
    lines: Mapping[str, int]

    def line_of(self, pointer: str) -> int:
        """Return the line of a pointer, or of its nearest existing ancestor."""
        while pointer not in self.lines and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer, 1)


def read(text: str) -> Document:
    """Parse a text with one document.

    Raises:
        WrongYaml: Not YAML; no document or several; or a duplicate key, an alias, a tag, or a key
            that is not text.
    """
    reader = _Reader(text)
    value = reader.document()
    if reader.found:
        raise WrongYaml(reader.found)
    return Document(value, reader.lines)


@dataclass
class _Reader:
    """Builds the value of a text from its events, recording lines and problems."""

    text: str
    lines: dict[str, int] = field(default_factory=dict)
    found: list[Located] = field(default_factory=list)

    def document(self) -> Json:
        """Return the value of the only document; None without one."""
        try:
            return self._document(yaml.parse(self.text, Loader=Loader))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._unparsed(mark.line + 1 if mark else 1, error)
        except ReaderError as error:
            before = self.text.encode()[: error.position]  # libyaml counts bytes
            detail = "a non-printable character"
            self.found.append(Located(before.count(b"\n") + 1, Problem("", detail, "text")))
        return None

    def _document(self, events: Iterator[yaml.Event]) -> Json:
        value = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._wrong(event, "", "a second document begins here", "one document")
                    return None
            elif isinstance(event, yaml.NodeEvent):
                value = self._value(event, events, "", 0)
        if value is None and not self.found:
            self.found.append(Located(1, Problem("", "it is empty", "services: and pools:")))
        return value

    def _unparsed(self, line: int, error: yaml.MarkedYAMLError) -> None:
        lines = self.text.splitlines()
        problem = Problem("", " ".join(filter(None, [error.context, error.problem])))
        if line <= len(lines) and lines[line - 1].lstrip(" ").startswith("\t"):
            problem = Problem("", "a tab in the indentation", "spaces")
        elif error.problem == _LIBYAML_TOO_DEEP:  # libyaml's own limit, found by its look-ahead
            problem = _TOO_DEEP
        self.found.append(Located(line, problem))

    def _value(
        self, event: yaml.Event, events: Iterator[yaml.Event], pointer: str, depth: int
    ) -> Json:
        self.lines.setdefault(pointer, _line(event))
        if depth > MAX_DEPTH:
            self.found.append(Located(_line(event), _TOO_DEEP))
            raise WrongYaml(self.found)
        if isinstance(event, yaml.AliasEvent):
            self._wrong(event, pointer, f"*{event.anchor} is an alias", "the value itself")
            return None
        tag: str | None = getattr(event, "tag", None)
        if tag is not None:
            tag = tag.replace("tag:yaml.org,2002:", "!!")
            self._wrong(event, pointer, f"{tag} is a tag", "the value itself")
        match event:
            case yaml.ScalarEvent():
                return _scalar(event.value) if event.implicit[0] else event.value
            case yaml.SequenceStartEvent():
                return self._sequence(events, pointer, depth)
            case _:
                return self._mapping(events, pointer, depth)

    def _sequence(self, events: Iterator[yaml.Event], pointer: str, depth: int) -> list[Json]:
        items: list[Json] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value(event, events, f"{pointer}/{len(items)}", depth + 1))
        return items

    def _mapping(self, events: Iterator[yaml.Event], pointer: str, depth: int) -> dict[str, Json]:
        mapping: dict[str, Json] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, events, pointer, depth)
            below = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            if key in mapping:
                at = self.lines[below]
                self._wrong(event, below, f"duplicate key {key!r}, first on line {at}", "each once")
            self.lines.setdefault(below, _line(event))
            mapping[key] = self._value(next(events), events, below, depth + 1)
        return mapping

    def _key(
        self, event: yaml.Event, events: Iterator[yaml.Event], pointer: str, depth: int
    ) -> str:
        key = event.value if isinstance(event, yaml.ScalarEvent) else ""
        plain = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
        if not key or (plain and not isinstance(_scalar(key), str)):
            self._wrong(event, pointer, f"{key!r} is not a field name", "text")
            if not isinstance(event, yaml.ScalarEvent):
                self._value(event, events, pointer, depth + 1)
        return key

    def _wrong(self, event: yaml.Event, pointer: str, detail: str, allowed: str) -> None:
        self.found.append(Located(_line(event), Problem(pointer, detail, allowed)))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _scalar(text: str) -> Json:
    """Return the value of a plain scalar in the core schema."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
