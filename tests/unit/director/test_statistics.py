"""Statistics of cycles: they only grow, and add up."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.director.reconcile.cycle import Cycle
from lvsctl.director.reconcile.statistics import DURATIONS_S, CycleStatistics
from lvsctl.ipvs.table import AddService, DeleteService, VirtualServiceConfig
from lvsctl.results import Done, Failed
from tests.unit.director.farms import WEB_KEY

ADD = AddService(WEB_KEY, VirtualServiceConfig("rr"))


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans())))
def test_every_cycle_is_counted_once(cycles: list[tuple[float, bool]]) -> None:
    """Failed or not; the sum of the durations is theirs."""
    statistics = CycleStatistics()
    for took_s, failed in cycles:
        statistics = statistics.after(None if failed else Cycle(1, None), took_s)
    assert len(cycles) == sum(statistics.durations)
    assert sum(failed for _, failed in cycles) == statistics.failed
    assert sum(took_s for took_s, _ in cycles) == pytest.approx(statistics.total_s)


@pytest.mark.parametrize(
    ("took_s", "expected"),
    [(0.0, 0), (DURATIONS_S[0], 0), (0.0011, 1), (DURATIONS_S[-1], 12), (11.0, 13)],
)
def test_a_class_holds_its_upper_bound(took_s: float, expected: int) -> None:
    """As a histogram of Prometheus has it ("le")."""
    durations = CycleStatistics().after(Cycle(1, None), took_s).durations
    assert expected == durations.index(1)


def test_operations_are_counted_by_kind_and_result() -> None:
    """Over all cycles."""
    tried = ((ADD, Failed(errno.ENOMEM)), (ADD, Done()), (DeleteService(WEB_KEY), Done()))
    cycle = Cycle(1, None, results=tried)
    statistics = CycleStatistics().after(cycle, 0.1).after(cycle, 0.1)
    assert {
        ("AddService", "failed"): 2,
        ("AddService", "done"): 2,
        ("DeleteService", "done"): 2,
    } == dict(statistics.operations)
