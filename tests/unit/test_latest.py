"""What follows from a value is worked out once for as long as that value is asked about."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.latest import latest


@given(st.lists(st.sampled_from(range(3))))
def test_it_returns_what_the_function_returns(order: Sequence[int]) -> None:
    """In any order, also for equal values that are not the same."""
    values = ["ab", "xab"[1:], "c"]
    calls: list[str] = []

    @latest
    def upper(text: str) -> str:
        calls.append(text)
        return text.upper()

    assert [values[n].upper() for n in order] == [upper(values[n]) for n in order]
    changes = sum(1 for n, m in pairwise(order) if n != m)
    assert changes + bool(order) == len(calls)


def test_it_keeps_name_and_docstring() -> None:
    """As a decorator does."""

    @latest
    def documented(_: str) -> None:
        """What it does."""

    assert ("documented", "What it does.") == (documented.__name__, documented.__doc__)
