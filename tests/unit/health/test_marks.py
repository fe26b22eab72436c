"""Properties of the allocation of marks and source ports over random histories."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.farm.model import MarkRange, PortRange
from lvsctl.health.marks import (
    REUSE_DELAY,
    ProbeMark,
    ProbeMarks,
    TunnelPath,
    assign_marks,
    mark_table,
    reserved_ports,
)
from lvsctl.ipvs.table import (
    DestinationConfig,
    DestinationKey,
    Encapsulation,
    FwmarkKey,
    TunnelType,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import Family

MARKS = MarkRange(100, 109)
PORTS = PortRange(61000, 61009)
START = datetime(2026, 1, 2, tzinfo=UTC)
GUE = Encapsulation(TunnelType.GUE, 6080)
PATHS = [
    TunnelPath(family, IPv4Address(f"192.0.2.{host}"), encapsulation)
    for family in Family
    for host in (11, 12, 13)
    for encapsulation in (Encapsulation(), GUE)
]
RS1, RS2, RS3 = PATHS[0], PATHS[2], PATHS[4]


def assign(
    paths: Collection[TunnelPath],
    held: ProbeMarks | None = None,
    *,
    marks: MarkRange = MARKS,
    ports: PortRange = PORTS,
    taken: Collection[int] = (),
    now: datetime = START,
) -> ProbeMarks:
    return assign_marks(
        paths,
        held or {},
        marks=marks,
        ports=ports,
        foreign_keys=[FwmarkKey(Family.IPV4, mark) for mark in taken],
        now=now,
    )


SIZES = st.integers(2, 9)
STEPS = st.tuples(
    st.sets(st.sampled_from(PATHS)),
    st.builds(lambda first, size: MarkRange(first, first + size), st.integers(100, 105), SIZES),
    st.builds(lambda first, size: PortRange(first, first + size), st.integers(61000, 61005), SIZES),
    st.sets(st.integers(100, 105)),
    st.timedeltas(timedelta(minutes=-30), timedelta(minutes=30)),
)


@given(st.lists(STEPS, max_size=6))
def test_marks_and_ports_are_unique(
    history: list[tuple[set[TunnelPath], MarkRange, PortRange, set[int], timedelta]],
) -> None:
    """Every path in use has its own mark and port, both in range, and never a foreign mark."""
    held: ProbeMarks = {}
    now = START
    for paths, marks, ports, taken, later in history:
        now += later
        held = assign(paths, held, marks=marks, ports=ports, taken=taken, now=now)
        used = {path: mark for path, mark in held.items() if mark.unused_since is None}
        assert used.keys() <= paths
        assert all(each.mark in marks and each.mark not in taken for each in used.values())
        assert all(each.port in ports for each in used.values())
        assert len(held) == len({each.mark for each in held.values()})
        assert len(held) == len({each.port for each in held.values()})


@given(st.sets(st.sampled_from(PATHS), max_size=10))
def test_all_marks_and_ports_can_be_used(paths: set[TunnelPath]) -> None:
    """With ten of each all ten paths are served; with fewer ports, as many as there are ports."""
    assert paths == assign(paths).keys()
    assert min(4, len(paths)) == len(assign(paths, ports=PortRange(61000, 61003)))


@given(st.sets(st.sampled_from(PATHS), max_size=5), st.sets(st.sampled_from(PATHS), max_size=5))
def test_a_path_keeps_its_mark(some: set[TunnelPath], others: set[TunnelPath]) -> None:
    """Whatever other paths are added or removed; allocating again changes nothing."""
    before = assign(some)
    after = assign(some | others, before)
    assert before == {path: after[path] for path in some}
    assert after == assign(some | others, after, now=START + 9 * REUSE_DELAY)


def test_a_path_that_returns_in_time_gets_the_same() -> None:
    """So a server that is removed and added again is probed as before."""
    held = assign([RS1, RS2])
    held = assign([RS2], held)
    held = assign([RS1, RS2, RS3], held, now=START + REUSE_DELAY / 2)
    assert {
        RS1: ProbeMark(100, 61000),
        RS2: ProbeMark(101, 61001),
        RS3: ProbeMark(102, 61002),
    } == held


def test_a_mark_is_reused_only_after_its_rest() -> None:
    """Connection entries of its last probes could capture those of another server."""
    held = assign([], assign([RS1]))
    assert {RS1: ProbeMark(100, 61000, START)} == held
    almost = START + REUSE_DELAY - timedelta(seconds=1)
    assert ProbeMark(101, 61001) == assign([RS2], held, now=almost)[RS2]
    assert {RS2: ProbeMark(100, 61000)} == assign([RS2], held, now=START + REUSE_DELAY)


def test_marks_of_removed_paths_are_forgotten() -> None:
    """After their rest."""
    held = assign([], assign(PATHS[:10]))
    assert {} == assign([], held, now=START + REUSE_DELAY)


def test_a_clock_set_back_does_not_prolong_the_rest() -> None:
    """The rest counts from the earlier time."""
    held = assign([], assign([RS1]), now=START + timedelta(days=900))
    held = assign([], held)
    assert {} == assign([], held, now=START + REUSE_DELAY)


def test_a_foreign_mark_is_left_alone() -> None:
    """A path whose mark a foreign service uses gets another, and keeps its port."""
    assert ProbeMark(102, 61000) == assign([RS1], taken=[100, 101])[RS1]
    assert ProbeMark(101, 61000) == assign([RS1], assign([RS1]), taken=[100])[RS1]


def test_another_range_of_ports_keeps_the_marks() -> None:
    """Only values outside the new range change."""
    held = assign([RS1, RS2], assign([RS1, RS2]), ports=PortRange(61001, 61005))
    assert {RS1: ProbeMark(100, 61002), RS2: ProbeMark(101, 61001)} == held


def test_if_none_is_free_existing_paths_keep_theirs() -> None:
    """The new server is the one that is not probed."""
    ports = PortRange(61000, 61000)
    assert [RS3] == [*assign([RS1, RS2, RS3], assign([RS3], ports=ports), ports=ports)]


def test_the_service_of_a_mark_has_one_destination() -> None:
    """Weight 1, the path's tunnel, port 0; resting marks have no service."""
    path = TunnelPath(Family.IPV6, IPv4Address("192.0.2.11"), GUE)
    table = mark_table({path: ProbeMark(100, 61000), RS1: ProbeMark(101, 61001, START)})
    destination = {DestinationKey(path.server, 0): DestinationConfig(1, encapsulation=GUE)}
    assert {
        FwmarkKey(Family.IPV6, 100): VirtualService(VirtualServiceConfig("rr"), destination)
    } == table


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ("", "61000-61009"),
        ("61000-61009", "61000-61009"),
        ("60000-65000", "60000-65000"),
        ("8080,9148-9150", "8080,9148-9150,61000-61009"),
        ("61005-61020", "61000-61020"),
        ("60999", "60999-61009"),
        ("61010,61012", "61000-61010,61012"),
        ("65535", "61000-61009,65535"),
    ],
)
def test_reserved_ports_are_added_to_those_of_others(present: str, expected: str) -> None:
    """Existing reservations are kept, and the text is in the kernel's format."""
    assert expected == reserved_ports(present, PORTS)


def test_one_port_is_reserved_as_a_number() -> None:
    """As the kernel formats it."""
    assert "61000" == reserved_ports("", PortRange(61000, 61000))
