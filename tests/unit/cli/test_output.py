"""What the commands print."""

import json
import sys

import click
import pytest
import yaml

from lvsctl.cli.output import Format, cell, columns, fields, sections, show


def test_columns_are_as_wide_as_they_need() -> None:
    """Without spaces at the ends of lines."""
    assert "NAME     WEIGHT\nrs1      100\nrs-long  -" == columns(
        ("NAME", "WEIGHT"), [("rs1", 100), ("rs-long", None)]
    )


def test_a_table_without_rows_has_its_headings() -> None:
    """An empty farm is told from a failure."""
    assert "NAME  WEIGHT" == columns(("NAME", "WEIGHT"), [])


def test_fields_stand_below_each_other() -> None:
    """One in a line."""
    assert "name: web\nvip:  198.51.100.10" == fields([("name", "web"), ("vip", "198.51.100.10")])


def test_sections_that_are_empty_leave_no_gap() -> None:
    """There is one empty line between the others."""
    assert "a\n\nb" == sections("a", "", "b")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ([], "-"),
        ("", ""),
        (0, "0"),
        (True, "yes"),
        (False, "no"),
        ([80, 443], "80,443"),
        ("ä", "ä"),
        ("a\nb\x1b[31mc", "a�b�[31mc"),
    ],
)
def test_a_value_is_one_line_that_cannot_drive_the_terminal(value: object, text: str) -> None:
    """What a real server reports is shown to a person who trusts his terminal."""
    assert text == cell(value)


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_a_document_is_printed_as_it_is(
    capsys: pytest.CaptureFixture[str], form: str, read: object
) -> None:
    """Nothing is left out for a program, and nothing made up."""
    document = {"b": [1, None, "on", "ä"], "a": {"c": True}}
    show(document, Format(form), lambda: "unused")
    assert document == read(capsys.readouterr().out)  # type: ignore[operator]


def test_without_its_library_yaml_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real server has the base install: it is told what else does, and what to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(click.ClickException, match="not installed: pip install"):
        show({}, Format.YAML, str)
