"""YAML as people mean it: scalars of the 1.2 core schema, and nothing ambiguous."""

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.cli.yaml12 import MAX_DEPTH, WrongYaml, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80),
        ("-1", -1),
        ("+5", 5),
        ("017", 17),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("tRUE", "tRUE"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("-0x1", "-0x1"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2001:10:20:30:40:50:0:1", "2001:10:20:30:40:50:0:1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.11", "192.0.2.11"),
        ("2026-01-02", "2026-01-02"),
        ("300s", "300s"),
        ("=", "="),
        ("99999999999999999999999", "99999999999999999999999"),
        ("'80'", "80"),
        ('"true"', "true"),
        ("|\n    null\n", "null\n"),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text: str, value: object) -> None:
    """What looks like an address, a time or a word stays text."""
    assert {"key": value} == read(f"key: {text}").value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), inner
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["services", "pools", "a/b", "a~b"]), JSON, min_size=1))
def test_what_pyyaml_writes_is_read_back(value: object) -> None:
    """In block and in flow style."""
    assert value == read(yaml.safe_dump(value, allow_unicode=True)).value
    assert value == read(yaml.safe_dump(value, default_flow_style=True)).value


@given(st.dictionaries(st.sampled_from(["services", "pools"]), JSON, min_size=1))
def test_json_is_yaml(value: object) -> None:
    """A farm that was written as JSON is a farm file."""
    assert value == read(json.dumps(value, indent=2, ensure_ascii=False)).value


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "the document: it is empty"),
        ("# nothing\n---\n", 1, "the document: it is empty"),
        ("null", 1, "the document: it is empty"),
        ("a: 1\na: 2", 2, "/a: duplicate key 'a', first on line 1"),
        ("a:\n  b: 1\n  b: 1", 3, "/a/b: duplicate key 'b', first on line 2"),
        ("- x: 1\n  'x': 2", 2, "/0/x: duplicate key 'x', first on line 1"),
        ("a: &x 1\nb: *x", 2, "/b: *x is an alias"),
        ("a: &x [*x]", 1, "/a/0: *x is an alias"),
        ("a: 1\nb: {<<: *x}", 2, "/b/<<: *x is an alias"),
        ("a: !!int 5", 1, "/a: !!int is a tag"),
        ("a: !python/object:os.system x", 1, "/a: !python/object:os.system is a tag"),
        ("80: x", 1, "the document: '80' is not a field name"),
        ("null: x", 1, "the document: 'null' is not a field name"),
        ("? [a]\n: b", 1, "the document: '' is not a field name"),
        ("a: 1\n---\nb: 2", 2, "the document: a second document begins here"),
        ("a:\n\tb: 1", 2, "the document: a tab in the indentation (allowed: spaces)"),
        ("a: 1\n  b: 2", 2, "the document: mapping values are not allowed in this context"),
        ("a: [1, 2", 2, "the document: while parsing a flow sequence"),
        ("a: \x07", 1, "the document: a non-printable character"),
        ("a: ä\nb: \x07", 2, "the document: a non-printable character"),
        (
            "[" * 100_000,
            1,
            f"the document: it is nested too deeply (allowed: up to {MAX_DEPTH} levels)",
        ),
        (
            "{a: " * 100_000,
            1,
            f"the document: it is nested too deeply (allowed: up to {MAX_DEPTH} levels)",
        ),
    ],
)
def test_what_is_ambiguous_or_broken_is_refused_at_its_line(
    text: str, line: int, problem: str
) -> None:
    """PyYAML alone would keep one of two keys and copy an alias a billion times."""
    with pytest.raises(WrongYaml) as refusal:
        read(text)
    first = refusal.value.found[0]
    assert line == first.line
    assert str(first.problem).startswith(problem)


def test_everything_wrong_is_reported_at_once() -> None:
    """A person mends a file once."""
    with pytest.raises(WrongYaml) as refusal:
        read("a: 1\na: 2\nb: !x 3\nc: *d")
    assert [2, 3, 4] == [each.line for each in refusal.value.found]


@given(st.text() | st.text("[]{}:,-?!&*|>'\"%@` \n\ta0#"))
def test_garbage_is_refused_or_read(text: str) -> None:
    """No text makes it fail in another way."""
    with contextlib.suppress(WrongYaml):
        read(text)


FILE = """\
services:
  - name: web
    vip: 198.51.100.10
    ports:
      - 80
      - 443
  - {name: dns, ports: [53]}

pools:
  - name: "web"
    a/b~c: 1
"""


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("", 1),
        ("/services", 1),
        ("/services/0", 2),
        ("/services/0/vip", 3),
        ("/services/0/ports", 4),
        ("/services/0/ports/1", 6),
        ("/services/1/ports/0", 7),
        ("/pools/0/name", 10),
        ("/pools/0/a~1b~0c", 11),
        ("/services/0/pool", 2),
        ("/services/0/persistence/timeout", 2),
        ("/services/9", 1),
        ("/settings", 1),
        ("nonsense", 1),
    ],
)
def test_a_pointer_has_its_line(pointer: str, line: int) -> None:
    """What is missing has the line of what it is missing in."""
    assert line == read(FILE).line_of(pointer)
