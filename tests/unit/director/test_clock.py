"""The time of day is set while the director runs: nobody gains or loses time by it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.director.agents.contacts import LOST_AFTER_S
from lvsctl.director.clock import JUMP, Clock, ClockJump
from lvsctl.director.loop import TIMER_S
from lvsctl.director.write.edits import PutObject
from lvsctl.events import EventKind
from lvsctl.farm.policy import SlowStart
from lvsctl.farm.status import AtDeadline
from lvsctl.messages.model import Registration, Report
from lvsctl.store.interface import Mode, ModeName
from tests.unit import virtual_time
from tests.unit.director.checked import REFUSED
from tests.unit.director.farms import rip
from tests.unit.director.test_daemon import START, Director
from tests.unit.director.test_drains import RS1, drain
from tests.unit.director.test_events import of
from tests.unit.director.test_health_checks import (
    DETECTED_S,
    POOL_ID,
    RISEN_S,
    checked,
    serving,
)

HOUR = timedelta(hours=1)
SET = pytest.mark.parametrize("by", [HOUR, -HOUR, timedelta(days=20_000)])


@pytest.fixture
def director() -> Director:
    return Director()


def running(director: Director, scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a scenario beside the director."""

    async def both() -> None:
        task = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(0)
        await scenario()
        task.cancel()

    virtual_time.run(both())


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1e6, 1e6)), max_size=20))
def test_a_step_is_told_once_and_by_how_far(steps: list[tuple[float, float]]) -> None:
    """The jumps and what time has passed add up to the time of day, whatever it does."""
    wall, passed, jumps = [START], [0.0], list[ClockJump]()
    clock = Clock(lambda: wall[0], lambda: passed[0])
    clock.follow(jumps.append)
    for seconds, jump in steps:
        passed[0] += seconds
        wall[0] += timedelta(seconds=seconds + jump)
        before = len(jumps)
        assert wall[0] == clock.now()
        assert wall[0] == clock.now()
        assert len(jumps) - before in (0, 1)
        told = sum((each.by for each in jumps), timedelta())
        off = wall[0] - START - timedelta(seconds=passed[0]) - told
        assert abs(off) < JUMP + timedelta(microseconds=50)


def test_a_clock_that_drifts_is_not_set() -> None:
    """Less than a second is no jump; a second that has gathered is one."""
    wall, jumps = [START], list[ClockJump]()
    clock = Clock(lambda: wall[0], lambda: 0.0)
    clock.follow(jumps.append)
    wall[0] += timedelta(seconds=0.9)
    clock.now()
    assert [] == jumps
    wall[0] += timedelta(seconds=0.2)
    clock.now()
    assert [timedelta(seconds=1.1)] == [jump.by for jump in jumps]


def test_what_a_right_clock_made_does_not_move_when_a_wrong_one_is_set() -> None:
    """A host that wakes in 1970 reads deadlines of today; then its clock is set right."""
    today, deadline = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=UTC)
    jump = ClockJump(timedelta(days=20_454), datetime(1970, 1, 1, tzinfo=UTC))
    assert deadline == jump.moved(deadline, made=today)
    assert deadline == jump.moved(deadline, made=None)


@SET
def test_a_drain_keeps_the_time_that_it_had_left(director: Director, by: timedelta) -> None:
    """Also over a second jump; what is stored stays as it was asked for."""

    async def scenario() -> None:
        await director.put_web(1, 2)
        await director.daemon.writer.write(drain(60), by="ada")
        stored = director.daemon.state.status.overrides
        await asyncio.sleep(20)
        director.clock_is_off += by
        await asyncio.sleep(20)
        assert {RS1: START + timedelta(seconds=60) + by} == director.daemon.drains.deadlines
        director.clock_is_off -= by
        assert stored == director.daemon.state.status.overrides
        await asyncio.sleep(19)
        assert {1: 0, 2: 100} == director.bench.weights()
        await asyncio.sleep(2)
        assert {2: 100} == director.bench.weights()

    running(director, scenario)


def test_a_drain_that_is_asked_for_after_it_was_set_goes_by_the_new_time(
    director: Director,
) -> None:
    """And one whose connections are kept is over once."""

    async def scenario() -> None:
        await director.put_web(1, 2)
        await asyncio.sleep(10)
        director.clock_is_off = HOUR
        await asyncio.sleep(TIMER_S)
        edit = drain(60 + HOUR.total_seconds() + 15, AtDeadline.KEEP)
        now = director.daemon.now()
        edit = replace(edit, override=replace(edit.override, since=now))
        await director.daemon.writer.write(edit, by="ada")
        await asyncio.sleep(59)
        assert [] == of(director, EventKind.DRAIN_OVER)
        director.clock_is_off = timedelta()
        await asyncio.sleep(2)
        assert 1 == len(of(director, EventKind.DRAIN_OVER))

    running(director, scenario)


@SET
def test_a_pause_keeps_the_time_that_it_had_left(director: Director, by: timedelta) -> None:
    """Over a restart too: what is kept is its new end."""

    async def scenario() -> None:
        until = START + timedelta(seconds=60)
        await director.daemon.set_mode(Mode(ModeName.OBSERVE, "a look", until, "ada", START))
        await asyncio.sleep(20)
        director.clock_is_off = by
        await asyncio.sleep(TIMER_S)
        assert until + by == director.daemon.mode.current.until
        assert director.daemon.mode.current == director.bench.local.mode()
        await asyncio.sleep(40 - TIMER_S - 0.1)
        assert ModeName.OBSERVE is director.daemon.mode.current.name
        await asyncio.sleep(0.2)
        assert ModeName.ENFORCE is director.daemon.mode.current.name

    running(director, scenario)


@SET
def test_a_slow_start_keeps_the_steps_that_it_has_left(director: Director, by: timedelta) -> None:
    """Neither is a server hurried to its full weight, nor held at its first step."""

    async def scenario() -> None:
        slow = SlowStart(over_s=40, steps=5)
        await serving(director, checked(1, 2))
        await asyncio.sleep(slow.over_s)
        director.servers.tunnel[rip(2)] = REFUSED
        await asyncio.sleep(DETECTED_S)
        await director.daemon.writer.write(
            PutObject(POOL_ID, checked(1, 2, slow_start=slow)), by="test"
        )
        director.servers.tunnel.clear()
        await asyncio.sleep(RISEN_S)
        for step in range(1, 6):
            assert {1: 100, 2: 20 * step} == director.bench.weights()
            if step == 2:
                director.clock_is_off = by
            await asyncio.sleep(10)
        assert {1: 100, 2: 100} == director.bench.weights()

    running(director, scenario)


@SET
def test_a_silent_agent_is_missed_by_the_clock_that_only_runs_forward(
    director: Director, by: timedelta
) -> None:
    """A clock that was set back does not hide it, one set forward makes nobody silent."""

    async def scenario() -> None:
        await director.put_web()
        await director.daemon.agents.register("rs1", Registration(rip(1), ("web",)), by="rs1")
        await director.daemon.agents.report(
            "rs1", Report(director.daemon.state.farm_id, (), ()), by="test"
        )
        director.clock_is_off = by
        await asyncio.sleep(LOST_AFTER_S - 1)
        assert [] == of(director, EventKind.AGENT_LOST)
        await asyncio.sleep(1 + 2 * TIMER_S)
        assert ["rs1"] == [subject for subject, _ in of(director, EventKind.AGENT_LOST)]

    running(director, scenario)


@SET
def test_a_jump_is_an_event(director: Director, by: timedelta) -> None:
    """One, that says by how far."""

    async def scenario() -> None:
        await director.put_web(1)
        await asyncio.sleep(1)
        before = director.daemon.events.last_id
        director.clock_is_off = by
        await asyncio.sleep(20 * TIMER_S)
        ((_, detail),) = of(director, EventKind.CLOCK_JUMP)
        direction = "forward" if by > timedelta() else "back"
        assert f"set {direction} by {abs(by).total_seconds():.0f} s" in detail
        assert before + 1 == director.daemon.events.last_id

    running(director, scenario)


def test_no_two_events_get_one_id_when_the_clock_jumps_between_them(director: Director) -> None:
    """The jump is noticed when the next event asks for the time."""

    async def scenario() -> None:
        await director.put_web(1)
        director.clock_is_off = HOUR
        await director.put_web(1, 2)
        await asyncio.sleep(1)
        ids = [each.id for each in director.daemon.events.after(0)]
        assert [*range(1, len(ids) + 1)] == ids

    running(director, scenario)
