"""Documents and values: nothing is lost on the way, and nothing is guessed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from api.json_text import MAX_DEPTH, parse
from api.merge_patch import merge_patch
from api.problems import RequestRefused
from api.rendering import json_bytes
from api.schemas.farm import Farm
from api.validation import validated
from lvsctl.errors import InvalidInput
from lvsctl.farm.model import Director, MarkRange, PortRange, Settings, VipOwner
from lvsctl.farm.model import Farm as FarmValue
from lvsctl.farm.rules.farm import MAX_MARK, MAX_PORT, MAX_TIMEOUT_S, SYSCTL_RANGES
from tests.unit.strategies import ADDRESSES, good_farms

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


SETTINGS = st.builds(
    Settings,
    tcp_timeout_s=st.none() | st.integers(1, MAX_TIMEOUT_S),
    tcp_fin_timeout_s=st.none() | st.integers(1, MAX_TIMEOUT_S),
    udp_timeout_s=st.none() | st.integers(1, MAX_TIMEOUT_S),
    sysctls=st.dictionaries(st.sampled_from(sorted(SYSCTL_RANGES)), st.integers(0, 1)),
    vips=st.sampled_from(VipOwner),
    probe_marks=st.builds(MarkRange, st.integers(0, 99), st.integers(100, MAX_MARK)),
    probe_ports=st.builds(PortRange, st.integers(1024, 4096), st.integers(4096, MAX_PORT)),
)
DIRECTORS = st.builds(Director, st.just("lb1"), st.lists(ADDRESSES).map(tuple))


@st.composite
def farms(draw: st.DrawFn) -> FarmValue:
    """Draw a farm with all its sections."""
    farm = draw(good_farms())
    directors = {director.name: director for director in draw(st.lists(DIRECTORS, max_size=1))}
    return FarmValue(farm.services, farm.pools, directors, draw(SETTINGS))


@given(farms())
def test_a_farm_survives_its_document(farm: FarmValue) -> None:
    """Value to document to text, and back."""
    text = json_bytes(Farm.of(farm).plain())
    assert farm == validated(Farm, parse(text)).value()


@given(JSON_VALUES)
def test_json_is_written_as_json_is(value: Any) -> None:  # noqa: ANN401 - any JSON
    """Writing it in pieces makes no difference."""
    assert (
        json.dumps(value, ensure_ascii=False, separators=(",", ":")) == json_bytes(value).decode()
    )


@given(st.binary() | st.text().map(str.encode) | JSON_VALUES.map(json_bytes))
def test_any_bytes_are_read_as_a_strict_reader_reads_them(raw: bytes) -> None:
    """Another reader, which knows no NaN and no half characters, takes and refuses the same."""
    try:
        expected = from_json(raw, allow_inf_nan=False)
    except ValueError:
        with pytest.raises(RequestRefused):
            parse(raw)
    else:
        assert expected == parse(raw)


@given(JSON_VALUES)
def test_any_json_is_a_farm_or_refused(value: Any) -> None:  # noqa: ANN401 - any JSON
    """With at least one problem, each with its words."""
    with pytest.raises(InvalidInput) as refused:
        validated(Farm, value)
    assert all(problem.detail for problem in refused.value.problems)


def test_nesting_is_read_to_its_limit() -> None:
    """So many levels and no more."""
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(RequestRefused, match="nested"):
        parse(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_rfc_7396_says(target: Any, patch: Any, expected: Any) -> None:  # noqa: ANN401
    """The examples of its appendix A."""
    assert expected == merge_patch(target, patch)


@given(JSON_VALUES, JSON_VALUES)
def test_a_merge_patch_leaves_its_target_alone(target: Any, patch: Any) -> None:  # noqa: ANN401
    """What stands in the state is frozen."""
    before = json.dumps(target)
    merge_patch(target, patch)
    assert before == json.dumps(target)
