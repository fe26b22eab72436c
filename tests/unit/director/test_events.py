"""Events: noticed, kept, shown once they are kept, and resumed after."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest
from structlog.testing import capture_logs

from lvsctl.director.agents.contacts import LOST_AFTER_S
from lvsctl.director.events.cycle import cycle_events, view_events
from lvsctl.director.events.events import Events
from lvsctl.director.events.history import KEEP
from lvsctl.director.loop import TIMER_S
from lvsctl.director.reconcile.cycle import Cycle, KernelView, KeyState, KeyView
from lvsctl.director.write.edits import DeleteOverride, PutObject
from lvsctl.errors import KernelError, StoreError
from lvsctl.events import MAX_ITEMS, MAX_TEXT, Event, EventKind, RecordedEvent
from lvsctl.farm.status import AtDeadline
from lvsctl.ipvs.table import (
    AddService,
    DeleteService,
    EditService,
    Operation,
    SetTimeouts,
    Timeouts,
    VirtualServiceConfig,
)
from lvsctl.messages.model import Finding, Membership, Registration, Report, Severity
from lvsctl.reasons.errors import STORE_FAILED
from lvsctl.results import Done, Failed, Result
from lvsctl.store.events import MemoryEventLog
from lvsctl.store.interface import Mode, ModeName
from tests.support.reasons import because
from tests.support.stores import BreakableEventLog
from tests.support.workers import InlineWorker
from tests.unit import virtual_time
from tests.unit.director.farms import WEB_ID, WEB_KEY, rip, web
from tests.unit.director.test_daemon import DAMAGE, START, Director
from tests.unit.director.test_drains import drain, set_connections

EDIT = EditService(WEB_KEY, VirtualServiceConfig("lc"))
RIGHT = KernelView(3, START, {WEB_KEY: KeyView("web", KeyState.APPLIED)})


@pytest.fixture
def director() -> Director:
    return Director()


def seen(director: Director, after: int = 0) -> Sequence[Event]:
    """Return the events that are shown."""
    return [each.event for each in director.daemon.events.after(after)]


def of(director: Director, *kinds: EventKind) -> Sequence[tuple[str, str]]:
    """Return subject and detail of the events of some kinds."""
    return [(e.subject, e.detail) for e in seen(director) if e.kind in kinds]


# --- what is noticed ------------------------------------------------------------------------


def test_what_a_person_changes_is_told_with_who_and_what_the_kernel_made_of_it(
    director: Director,
) -> None:
    """The stored change first, then the kernel's."""

    async def scenario() -> None:
        running = asyncio.create_task(director.daemon.run())
        await director.put_web(1)
        await asyncio.sleep(0.1)
        before = director.daemon.events.last_id
        await director.daemon.writer.write(PutObject(WEB_ID, web(scheduler="lc")), by="ada")
        await asyncio.sleep(0.1)
        stored, changed = seen(director, before)
        assert (EventKind.STORED, "revision 2", "ada", ("change service web",)) == (
            stored.kind,
            stored.subject,
            stored.by,
            stored.items,
        )
        assert (EventKind.KERNEL_CHANGED, ("edit service tcp 198.51.100.10:80 lc",)) == (
            changed.kind,
            changed.items,
        )
        running.cancel()

    virtual_time.run(scenario())


def test_what_somebody_else_changed_is_drift(director: Director) -> None:
    """And no change that was asked for."""

    async def scenario() -> None:
        running = asyncio.create_task(director.daemon.run())
        await director.put_web(1)
        await asyncio.sleep(0.1)
        before = director.daemon.events.last_id
        director.bench.ipvs.apply([DAMAGE])
        await asyncio.sleep(TIMER_S)
        (drift,) = seen(director, before)
        assert EventKind.DRIFT is drift.kind
        assert ("edit 192.0.2.11:80 weight 100 of tcp 198.51.100.10:80",) == drift.items
        running.cancel()

    virtual_time.run(scenario())


def test_a_quiet_director_tells_nothing(director: Director) -> None:
    """A thousand cycles without news leave no event."""

    async def scenario() -> None:
        running = asyncio.create_task(director.daemon.run())
        await director.put_web(1)
        await asyncio.sleep(1)
        before = director.daemon.events.last_id
        await asyncio.sleep(1000 * TIMER_S)
        assert before == director.daemon.events.last_id
        running.cancel()

    virtual_time.run(scenario())


def test_after_a_restart_nothing_is_drift_before_it_was_right(director: Director) -> None:
    """What a director finds when it comes may have been changed by a write that it died in."""

    async def scenario() -> None:
        await director.put_web(1)
        director.bench.ipvs.apply([DAMAGE])
        director.restart()
        running = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(0.1)
        assert [] == of(director, EventKind.DRIFT)
        assert 1 == len(of(director, EventKind.KERNEL_CHANGED))
        running.cancel()

    virtual_time.run(scenario())


@pytest.mark.parametrize(
    ("before", "cycle", "expected"),
    [
        (RIGHT, Cycle(3, None, results=((EDIT, Done()),)), [EventKind.DRIFT]),
        (RIGHT, Cycle(4, None, results=((EDIT, Done()),)), [EventKind.KERNEL_CHANGED]),
        (KernelView(), Cycle(3, None, results=((EDIT, Done()),)), [EventKind.KERNEL_CHANGED]),
        (RIGHT, Cycle(3, None, results=((EDIT, Failed(12)),)), [EventKind.KERNEL_REFUSED]),
        (
            RIGHT,
            Cycle(3, None, results=((SetTimeouts(Timeouts(1, 2, 3)), Done()),)),
            [EventKind.DRIFT],
        ),
        (
            replace(RIGHT, services={WEB_KEY: KeyView("web", KeyState.PENDING, because("paused"))}),
            Cycle(3, None, results=((EDIT, Done()),)),
            [EventKind.KERNEL_CHANGED],
        ),
        (
            RIGHT,
            Cycle(4, None, results=((EDIT, Done()), (DeleteService(WEB_KEY), Failed(1)))),
            [EventKind.KERNEL_CHANGED, EventKind.KERNEL_REFUSED],
        ),
    ],
)
def test_drift_is_what_was_right_and_nobody_asked_for(
    before: KernelView, cycle: Cycle, expected: list[EventKind]
) -> None:
    """Told from a change, from a first look, from what had waited, and from a refusal."""
    assert expected == [event.kind for event in cycle_events(before, cycle, before)]


def test_a_refusal_that_is_tried_again_is_told_once(director: Director) -> None:
    """A thousand times would push everything else out of the history; another reason is news."""

    async def scenario() -> None:
        apply, number = director.bench.ipvs.apply, [1]

        def refusing(operations: Sequence[Operation]) -> Sequence[Result]:
            return [Failed(number[0])] * len(operations) if operations else apply(operations)

        director.bench.ipvs.apply = refusing  # type: ignore[method-assign]
        running = asyncio.create_task(director.daemon.run())
        await director.put_web(1)
        await asyncio.sleep(1000 * TIMER_S)
        assert 1 == len(of(director, EventKind.KERNEL_REFUSED))
        number[0] = 12
        await asyncio.sleep(10 * TIMER_S)
        assert 2 == len(of(director, EventKind.KERNEL_REFUSED))
        running.cancel()

    virtual_time.run(scenario())


def test_a_cycle_of_ten_thousand_operations_is_one_event() -> None:
    """It says how many there were and lists the first."""
    cycle = Cycle(4, None, results=((EDIT, Done()),) * 10_000)
    (event,) = cycle_events(RIGHT, cycle, RIGHT)
    assert MAX_ITEMS == len(event.items)
    assert event.detail.endswith(": 10000")


def test_problems_are_told_when_they_come_change_and_go() -> None:
    """And not while they stay."""
    vip = IPv4Address("198.51.100.10")
    taken, other = {vip: because("somebody answers")}, {vip: because("no route")}
    clear = KernelView()
    conflict = KernelView(services={WEB_KEY: KeyView("web", KeyState.CONFLICT, because("adopt"))})
    steps = [
        (clear, replace(clear, vips=taken), [EventKind.VIP_PROBLEM]),
        (replace(clear, vips=taken), replace(clear, vips=taken), []),
        (replace(clear, vips=taken), replace(clear, vips=other), [EventKind.VIP_PROBLEM]),
        (replace(clear, vips=other), clear, [EventKind.VIP_PROBLEM_OVER]),
        (clear, replace(clear, host=(because("sloppy_tcp is 1"),)), [EventKind.HOST_PROBLEM]),
        (replace(clear, host=(because("sloppy_tcp is 1"),)), clear, [EventKind.HOST_PROBLEM_OVER]),
        (clear, conflict, [EventKind.CONFLICT]),
        (conflict, clear, [EventKind.CONFLICT_OVER]),
        (clear, replace(clear, error=because("ENOBUFS")), [EventKind.KERNEL_UNREADABLE]),
        (replace(clear, error=because("ENOBUFS")), clear, [EventKind.KERNEL_READABLE]),
    ]
    for before, after, expected in steps:
        assert expected == [event.kind for event in view_events(before, after)]


def test_conflicts_and_a_broken_kernel_are_told_once(director: Director) -> None:
    """By a running director."""

    async def scenario() -> None:
        director.bench.ipvs.apply([AddService(WEB_KEY, VirtualServiceConfig("lc"))])
        running = asyncio.create_task(director.daemon.run())
        await director.put_web(1)
        original = director.bench.ipvs.snapshot

        def broken(keys: object = None) -> object:  # noqa: ARG001
            raise KernelError("netlink is out of buffers")

        director.bench.ipvs.snapshot = broken  # type: ignore[method-assign, assignment]
        await asyncio.sleep(3 * TIMER_S)
        director.bench.ipvs.snapshot = original  # type: ignore[method-assign]
        await asyncio.sleep(3 * TIMER_S)
        ((subject, why),) = of(director, EventKind.CONFLICT)
        assert (str(WEB_KEY), True) == (subject, "lvsctl service adopt web" in why)
        assert [("", "netlink is out of buffers")] == of(director, EventKind.KERNEL_UNREADABLE)
        assert 1 == len(of(director, EventKind.KERNEL_READABLE))
        running.cancel()

    virtual_time.run(scenario())


def test_agents_are_missed_and_welcomed(director: Director) -> None:
    """Each once; a finding is told when it is new."""

    async def scenario() -> None:
        daemon = director.daemon
        running = asyncio.create_task(daemon.run())
        await director.put_web()
        await daemon.agents.register("rs1", Registration(rip(1), ("web",)), by="rs1")
        found = Finding(Severity.REPAIRED, "tunl0", "it was down", "", "2026-01-01T00:00:00Z")
        quiet = Report(daemon.state.farm_id, (), ())
        await daemon.agents.report("rs1", quiet, by="test")
        await daemon.agents.report("rs1", replace(quiet, findings=(found,)), by="test")
        await daemon.agents.report("rs1", replace(quiet, findings=(found,)), by="test")
        await asyncio.sleep(LOST_AFTER_S + 3 * TIMER_S)
        await daemon.agents.report("rs1", quiet, by="test")
        await asyncio.sleep(1)
        assert [("rs1", "repaired: tunl0: it was down")] == of(director, EventKind.AGENT_FINDING)
        ((subject, detail),) = of(director, EventKind.AGENT_LOST)
        assert "rs1" == subject
        assert "192.0.2.11 stays as it is" in detail
        assert [("rs1", "it reports again")] == of(director, EventKind.AGENT_RETURNED)
        running.cancel()

    virtual_time.run(scenario())


def test_an_agent_is_not_missed_at_once_by_a_director_that_was_away(director: Director) -> None:
    """It has its time from the director's start; one that has left is never missed."""

    async def scenario() -> None:
        await director.put_web()
        await director.daemon.agents.register("rs1", Registration(rip(1), ("web",)), by="rs1")
        left = Registration(rip(2), ("web",), membership=Membership.LEFT)
        await director.daemon.agents.register("rs2", left, by="rs2")
        await asyncio.sleep(3600)
        director.restart()
        running = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(LOST_AFTER_S - 1)
        assert [] == of(director, EventKind.AGENT_LOST)
        await asyncio.sleep(TIMER_S + 2)
        assert ["rs1"] == [subject for subject, _ in of(director, EventKind.AGENT_LOST)]
        running.cancel()

    virtual_time.run(scenario())


def test_a_drain_is_told_from_its_beginning_to_its_end(director: Director) -> None:
    """Who began it and until when, when the last connection went, when it was over."""

    async def scenario() -> None:
        running = asyncio.create_task(director.daemon.run())
        await director.put_web(1, 2)
        set_connections(director, 3)
        await director.daemon.writer.write(drain(60, AtDeadline.KEEP), by="ada")
        await asyncio.sleep(5)
        set_connections(director, 0)
        await asyncio.sleep(60)
        await director.daemon.writer.write(DeleteOverride(drain().id), by="bob")
        await asyncio.sleep(1)
        kinds = (EventKind.SERVER_STATE, EventKind.DRAINED, EventKind.DRAIN_OVER)
        assert [
            ("web/rs1", "draining until 2026-01-01T00:01:00Z: new disk"),
            ("web/rs1", "no connection is left"),
            ("web/rs1", "its deadline is over, 0 connections are left"),
            ("web/rs1", "enabled, as it is declared"),
        ] == of(director, *kinds)
        running.cancel()

    virtual_time.run(scenario())


def test_a_deadline_that_passed_without_a_director_is_told(director: Director) -> None:
    """By the next one, once."""

    async def scenario() -> None:
        await director.put_web(1, 2)
        await director.daemon.writer.write(drain(60), by="ada")
        await asyncio.sleep(100)
        director.restart()
        running = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(100)
        assert [("web/rs1", "its deadline is over")] == of(director, EventKind.DRAIN_OVER)
        running.cancel()

    virtual_time.run(scenario())


def test_a_pause_is_told(director: Director) -> None:
    """With who and why, and when it is over."""

    async def scenario() -> None:
        running = asyncio.create_task(director.daemon.run())
        until = START + timedelta(seconds=7)
        await director.daemon.set_mode(Mode(ModeName.OBSERVE, "surgery", until, "ada"))
        await asyncio.sleep(10)
        assert [("observe", "surgery"), ("enforce", "the pause is over")] == of(
            director, EventKind.MODE
        )
        running.cancel()

    virtual_time.run(scenario())


# --- the history ----------------------------------------------------------------------------


def event(number: int) -> Event:
    return Event(EventKind.STORED, f"revision {number}")


def numbers(found: Sequence[RecordedEvent]) -> list[int]:
    return [each.id for each in found]


def events(log: MemoryEventLog) -> Events:
    return Events(log.load(), log, InlineWorker("test"), lambda: START)


def test_ids_go_on_after_a_restart() -> None:
    """And what was shown before is there."""

    async def scenario() -> None:
        log = MemoryEventLog()
        first = events(log)
        first.emit(event(1), event(2))
        await first.flush()
        second = events(log)
        assert [1, 2] == numbers(second.after(0))
        second.emit(event(3))
        await second.flush()
        assert [2, 3] == numbers(second.after(1))
        assert (1, 3) == (second.first_id, second.last_id)

    virtual_time.run(scenario())


def test_an_event_is_shown_only_when_it_is_kept() -> None:
    """Were it lost after it was seen, another one would get its id."""

    async def scenario() -> None:
        log = MemoryEventLog()
        shown: list[int] = []

        class Looking(InlineWorker):
            async def run(self, *args: object) -> object:  # type: ignore[override]
                shown.append(history.last_id)
                return await super().run(*args)  # type: ignore[arg-type]

        history = Events((), log, Looking("test"), lambda: START)
        history.emit(event(1))
        assert 0 == history.last_id
        await history.flush()
        assert ([0], 1) == (shown, history.last_id)

    virtual_time.run(scenario())


def test_a_full_disk_does_not_hide_what_happens() -> None:
    """It is shown, and written when there is room again."""

    async def scenario() -> None:
        log = BreakableEventLog()
        history = events(log)
        log.broken = StoreError("the disk is full")
        with capture_logs():
            history.emit(event(1))
            await history.flush()
        assert ([1], []) == (numbers(history.after(0)), list(log.load()))
        log.broken = None
        history.emit(event(2))
        await history.flush()
        assert [1, 2] == numbers(log.load())

    virtual_time.run(scenario())


@pytest.mark.parametrize(
    ("after", "expected"),
    [(0, [6, 7, 8]), (3, [6, 7, 8]), (5, [6, 7, 8]), (6, [7, 8]), (8, []), (99, [6, 7, 8])],
)
def test_what_follows_an_id(after: int, expected: list[int]) -> None:
    """Also one that is no longer kept, and one of a history that was lost."""
    log = MemoryEventLog()
    log.append([RecordedEvent(number, START, event(number)) for number in (6, 7, 8)])

    async def scenario() -> None:
        assert expected == numbers(events(log).after(after))

    virtual_time.run(scenario())


def test_the_history_is_bounded_in_memory_too() -> None:
    """The oldest go."""

    async def scenario() -> None:
        history = events(MemoryEventLog())
        history.emit(*[event(1)] * (KEEP + 5))
        await history.flush()
        assert (6, KEEP + 5) == (history.first_id, history.last_id)

    virtual_time.run(scenario())


def test_what_was_forgotten_is_off_the_disk_too() -> None:
    """So the file stays as bounded as the memory."""

    async def scenario() -> None:
        event_log = MemoryEventLog()
        history = events(event_log)
        for _ in range(3):
            history.emit(*[event(1)] * (KEEP // 2))
            await history.flush()
        history.emit(event(1))
        await history.flush()
        assert KEEP + 1 == len(event_log.load())  # the last one forgotten goes with the next

    virtual_time.run(scenario())


def test_what_the_disk_refuses_is_written_later_and_bounded_meanwhile() -> None:
    """Nothing is written twice, and the newest are there in the end."""

    async def scenario() -> None:
        event_log = BreakableEventLog()
        event_log.broken = StoreError("no space")
        history = events(event_log)
        history.emit(*[event(1)] * (KEEP + 7))
        with capture_logs():
            await history.flush()
        assert STORE_FAILED(error="no space") == history.problem
        event_log.broken = None
        await history.write()
        assert history.problem is None
        assert [*range(8, KEEP + 8)] == numbers(event_log.load())

    virtual_time.run(scenario())


def test_a_long_text_is_cut(director: Director) -> None:
    """A source can fill neither memory nor disk with one event."""

    async def scenario() -> None:
        history = director.daemon.events
        long = "x" * 1_000_000
        history.emit(Event(EventKind.AGENT_FINDING, long, long, (long,) * 100, long))
        await history.flush()
        (kept,) = seen(director)
        assert [MAX_TEXT] * 3 == [*map(len, (kept.subject, kept.detail, kept.by))]
        assert [MAX_TEXT] * MAX_ITEMS == [*map(len, kept.items)]

    virtual_time.run(scenario())


def test_a_director_that_stops_keeps_nobody_waiting() -> None:
    """Neither who waits already nor who comes now; what was shown is told."""

    async def scenario() -> None:
        history = events(MemoryEventLog())
        history.emit(event(1))
        await history.flush()
        waiting = asyncio.create_task(history.wait_after(1, 25))
        await asyncio.sleep(1)
        history.end()
        assert () == await waiting
        assert () == await history.wait_after(1, 25)
        assert [1] == numbers(await history.wait_after(0, 25))
        assert 1 == asyncio.get_running_loop().time()

    virtual_time.run(scenario())


def test_who_waits_is_told_at_once() -> None:
    """And nothing when the time is over."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        history = events(MemoryEventLog())
        running = asyncio.create_task(history.run())
        waiting = [asyncio.create_task(history.wait_after(0, 25)) for _ in range(3)]
        await asyncio.sleep(7)
        history.emit(event(1))
        assert [[1]] * 3 == [numbers(await each) for each in waiting]
        assert 7 == loop.time()
        assert () == await history.wait_after(1, 5)
        assert 12 == loop.time()
        running.cancel()

    virtual_time.run(scenario())
