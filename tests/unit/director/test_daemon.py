"""The director's loop: what wakes it, how long things may take, what waiters are told."""

import asyncio
import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs

from lvsctl.director.clock import Clock
from lvsctl.director.daemon import DirectorDaemon, Probing, StoreThread
from lvsctl.director.events.events import Events
from lvsctl.director.kernel_threads import KernelThreads
from lvsctl.director.loop import TIMER_S
from lvsctl.director.own_state import KeptState, OwnState
from lvsctl.director.problems import Component, Problems
from lvsctl.director.reconcile.readings import TableReader
from lvsctl.director.self_check import SelfCheck
from lvsctl.director.write.committer import Committer, EditContext
from lvsctl.director.write.edits import PutFarm, PutObject
from lvsctl.errors import DrasticChange, KernelError, NotFound, StoreError
from lvsctl.farm.model import Farm, Settings
from lvsctl.host.interface import AddressKey, HostChange
from lvsctl.ipvs.table import (
    AddDestination,
    AddService,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    Operation,
    VirtualServiceConfig,
)
from lvsctl.messages.model import Membership, Registration, Report, Tunnel
from lvsctl.reasons.reason import Reason
from lvsctl.results import Failed, Result
from lvsctl.store.guarded import GuardedStore
from lvsctl.store.interface import Mode, ModeName
from lvsctl.store.recovery import Recovery
from tests.support.reasons import because
from tests.support.stores import BreakableEventLog, BreakableStore
from tests.support.workers import InlineWorker
from tests.unit import virtual_time
from tests.unit.director.checked import Servers
from tests.unit.director.farms import OTHER_VIP, VIP, WEB_ID, WEB_KEY, pool, rip, web
from tests.unit.director.test_reconciler import Bench

START = datetime(2026, 1, 1, tzinfo=UTC)
DAMAGE = EditDestination(WEB_KEY, DestinationKey(rip(1), 80), DestinationConfig(1))


class Director:
    """A daemon over a kernel in memory, on a loop whose time jumps.

    Attributes:
        recovery: What is decided at the next start about a store that is not followed.
    """

    recovery: Recovery | None = None

    def __init__(self) -> None:
        self.bench = Bench()
        self.store = BreakableStore()
        self.event_log = BreakableEventLog()
        self.disk = ""
        self.clock_is_off = timedelta()
        self.servers = Servers(self.bench.local.probe_marks)
        self.random: Callable[[], float] = lambda: 0.5
        self._start()

    def restart(self, *, forgetful: bool = False) -> None:
        """Start another daemon over the same kernel, with the store or with an empty one."""
        self.bench.restart()
        if forgetful:
            self.store = BreakableStore()
        self._start()

    def _start(self) -> None:
        worker = InlineWorker("test")
        applied = self.bench.local.remembered()
        self.guarded = GuardedStore(self.store, "", applied, self.recovery)
        clock = Clock(self._wall, self._seconds)
        events = Events(self.event_log.load(), self.event_log, worker, lambda: START)
        self.problems = Problems(events.emit)
        self.daemon = DirectorDaemon(
            name="lb1",
            clock=clock,
            store=StoreThread(worker, Committer(self.guarded)),
            kernel=KernelThreads(
                worker,
                self.bench.reconciler,
                worker,
                TableReader(self.bench.ipvs, lambda: self.bench.reconciler.claims),
            ),
            own_state=OwnState(
                self.bench.local,
                worker,
                KeptState(
                    verdicts=self.bench.local.verdicts(),
                    hands_off=self.guarded.refusal if self.guarded.is_blind else "",
                ),
                self.problems,
            ),
            probing=Probing(self.servers.probe, self._draw),
            self_check=SelfCheck(
                self.problems,
                events,
                self._disk_problem,
                lambda: because(self.guarded.refusal) if self.guarded.refusal else None,
                {
                    Component.STORE: partial(worker.run, self.store.check_writable),
                    Component.LOCAL_STATE: partial(worker.run, self.bench.local.check_writable),
                },
            ),
        )

    def _draw(self) -> float:
        return self.random()

    def _wall(self) -> datetime:
        return START + timedelta(seconds=self._seconds()) + self.clock_is_off

    @staticmethod
    def _seconds() -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:  # a test that has not begun yet
            return 0

    async def _disk_problem(self) -> Reason | None:
        return because(self.disk) if self.disk else None

    def refuse(self, component: Component, why: str) -> None:
        """Let a component's disk refuse every write; without a reason, take them again."""
        breakable = {
            Component.STORE: self.store,
            Component.LOCAL_STATE: self.bench.local,
            Component.EVENTS: self.event_log,
        }[component]
        breakable.broken = StoreError(why) if why else None

    async def put_web(self, *numbers: int) -> None:
        """Store the farm with the service web over declared servers, and reconcile."""
        await self.daemon.writer.write(
            PutFarm(Farm({"web": web()}, {"web": pool(*numbers)})), by="test"
        )
        await self.daemon.loop.run_cycle()


@pytest.fixture
def director() -> Director:
    return Director()


def test_drift_that_nobody_announced_is_found_within_the_timer(director: Director) -> None:
    """It is not put right before the timer, and it is at the timer, counted from the last look."""

    async def scenario() -> None:
        await director.put_web(1)
        running = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(TIMER_S / 2)
        director.bench.ipvs.apply([DAMAGE])
        await asyncio.sleep(TIMER_S / 2 - 0.001)
        assert {1: 1} == director.bench.weights()
        await asyncio.sleep(0.002)
        assert {1: 100} == director.bench.weights()
        running.cancel()

    virtual_time.run(scenario())


def test_the_timer_is_not_put_off_by_wakes(director: Director) -> None:
    """Somebody who writes all the time does not keep the director from looking at everything."""

    async def scenario() -> None:
        await director.put_web(1)
        running = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(0)
        director.bench.ipvs.apply([DAMAGE])
        for _ in range(int(TIMER_S * 2) + 1):
            director.daemon.loop.wake(frozenset())
            await asyncio.sleep(0.5)
        assert {1: 100} == director.bench.weights()
        running.cancel()

    virtual_time.run(scenario())


def test_a_write_is_applied_at_once(director: Director) -> None:
    """A wake takes no time on the clock, and the waiter is told."""

    async def scenario() -> None:
        await director.put_web(1)
        running = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        written = await director.daemon.writer.write(
            PutObject(WEB_ID, web(scheduler="lc")), by="test"
        )
        assert (await director.daemon.loop.applied(written, 5)).applied
        assert asyncio.get_running_loop().time() == began
        assert "lc" == director.bench.ipvs.snapshot()[WEB_KEY].config.scheduler
        running.cancel()

    virtual_time.run(scenario())


def test_what_another_director_commits_is_applied(director: Director) -> None:
    """As soon as the store announces it, and it is an event as one's own write is."""

    async def scenario() -> None:
        await director.put_web(1)
        running = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(1)
        edit = PutObject(WEB_ID, web(scheduler="lc"))
        Committer(director.store).commit(edit, {}, "lb2", EditContext())
        await asyncio.sleep(0.1)
        assert "lc" == director.bench.ipvs.snapshot()[WEB_KEY].config.scheduler
        events = [each.event for each in director.daemon.events.after(0)]
        assert ("revision 2", "lb2") in [(each.subject, each.by) for each in events]
        running.cancel()

    virtual_time.run(scenario())


def test_who_waits_for_what_cannot_be_applied_is_told_why_when_the_time_is_over(
    director: Director,
) -> None:
    """A conflict stays one for the whole wait."""

    async def scenario() -> None:
        director.bench.ipvs.apply([AddService(WEB_KEY, VirtualServiceConfig("lc"))])
        running = asyncio.create_task(director.daemon.run())
        farm = Farm({"web": web()}, {"web": pool(1)})
        written = await director.daemon.writer.write(PutFarm(farm), by="test")
        began = asyncio.get_running_loop().time()
        found = await director.daemon.loop.applied(written, 5)
        assert 5 == asyncio.get_running_loop().time() - began
        assert not found.applied
        assert "conflict" == found.reason.code
        running.cancel()

    virtual_time.run(scenario())


def test_a_pause_ends_by_itself_to_the_second(director: Director) -> None:
    """Until then nothing is written; then it is, without waiting for the timer."""

    async def scenario() -> None:
        await director.put_web(1)
        running = asyncio.create_task(director.daemon.run())
        until = START + timedelta(seconds=7)
        await director.daemon.set_mode(Mode(ModeName.OBSERVE, "surgery", until, "test"))
        director.bench.ipvs.apply([DeleteService(WEB_KEY)])
        await asyncio.sleep(6.999)
        assert {} == director.bench.ipvs.snapshot()
        waiting = director.daemon.loop.view.services[WEB_KEY].reason
        assert ("operation-waits", "observing") == (waiting.code, waiting.values["why"].code)
        await asyncio.sleep(0.002)
        assert [WEB_KEY] == list(director.bench.ipvs.snapshot())
        assert (ModeName.ENFORCE, Mode()) == (
            director.daemon.mode.current.name,
            director.bench.local.mode(),
        )
        running.cancel()

    virtual_time.run(scenario())


def test_a_kernel_that_cannot_be_read_is_reported_and_tried_again(director: Director) -> None:
    """Nothing is written meanwhile; the state can still be changed."""

    async def scenario() -> None:
        original = director.bench.ipvs.snapshot

        def broken(keys: object = None) -> object:  # noqa: ARG001
            raise KernelError("netlink is out of buffers")

        director.bench.ipvs.snapshot = broken  # type: ignore[method-assign, assignment]
        running = asyncio.create_task(director.daemon.run())
        await director.daemon.writer.write(
            PutFarm(Farm({"web": web()}, {"web": pool(1)})), by="test"
        )
        await asyncio.sleep(0.1)
        assert "kernel-refused" == director.daemon.loop.view.error.code
        director.bench.ipvs.snapshot = original  # type: ignore[method-assign]
        await asyncio.sleep(TIMER_S)
        assert director.daemon.loop.view.error is None
        assert {1: 100} == director.bench.weights()
        running.cancel()

    virtual_time.run(scenario())


def test_an_agents_way_into_and_out_of_a_service(director: Director) -> None:
    """It joins, is assigned the VIP, reports ready, serves, gets weight 0, and is gone."""

    async def scenario() -> None:
        daemon = director.daemon
        await director.put_web()
        running = asyncio.create_task(daemon.run())
        await asyncio.sleep(0.1)
        registration = Registration(rip(1), ("web",), 7)

        await daemon.agents.register("rs1", registration, by="rs1")
        found = await daemon.agents.assignment("rs1", None, 25)
        assert found is not None
        assert (VIP,) == found[1].vips
        assert {} == director.bench.weights()

        report = Report(daemon.state.farm_id, (VIP,), (Tunnel("ipip"),))
        await daemon.agents.report("rs1", report, by="agent rs1")
        await asyncio.sleep(0.1)
        assert {1: 7} == director.bench.weights()

        leaving = Registration(rip(1), ("web",), 7, Membership.LEAVING)
        written = await daemon.agents.register("rs1", leaving, by="rs1")
        assert (await daemon.loop.applied(written, 5)).applied
        assert {1: 0} == director.bench.weights()

        left = Registration(rip(1), ("web",), 7, Membership.LEFT)
        written = await daemon.agents.register("rs1", left, by="rs1")
        assert (await daemon.loop.applied(written, 5)).applied
        assert {} == director.bench.weights()
        found = await daemon.agents.assignment("rs1", None, 25)
        assert found is not None
        assert () == found[1].vips
        running.cancel()

    virtual_time.run(scenario())


def test_an_assignment_is_waited_for_until_it_changes(director: Director) -> None:
    """The same one is None after the whole wait; a new VIP ends the wait at once."""

    async def scenario() -> None:
        daemon = director.daemon
        loop = asyncio.get_running_loop()
        await director.put_web()
        running = asyncio.create_task(daemon.run())
        await daemon.agents.register("rs1", Registration(rip(1), ("web",)), by="rs1")
        found = await daemon.agents.assignment("rs1", None, 25)
        assert found is not None

        began = loop.time()
        assert None is await daemon.agents.assignment("rs1", found[0], 25)
        assert 25 == loop.time() - began

        waiting = asyncio.create_task(daemon.agents.assignment("rs1", found[0], 25))
        await asyncio.sleep(3)
        await daemon.writer.write(PutObject(WEB_ID, web(OTHER_VIP)), by="test")
        changed = await waiting
        assert changed is not None
        assert (OTHER_VIP,) == changed[1].vips
        assert 28 == loop.time() - began
        with pytest.raises(NotFound):
            await daemon.agents.assignment("rs9", None, 25)
        running.cancel()

    virtual_time.run(scenario())


def test_an_agent_that_joins_again_is_not_told_what_held_when_it_was_gone(
    director: Director,
) -> None:
    """Until a cycle has seen it joined there is no assignment, rather than one without VIPs."""

    async def scenario() -> None:
        daemon = director.daemon
        await director.put_web()
        left = Registration(rip(1), ("web",), membership=Membership.LEFT)
        await daemon.agents.register("rs1", left, by="rs1")
        await daemon.loop.run_cycle()
        found = await daemon.agents.assignment("rs1", None, 0)
        assert found is not None
        assert () == found[1].vips

        await daemon.agents.register("rs1", Registration(rip(1), ("web",)), by="rs1")
        assert None is await daemon.agents.assignment("rs1", None, 0)
        await daemon.loop.run_cycle()
        found = await daemon.agents.assignment("rs1", None, 0)
        assert found is not None
        assert (VIP,) == found[1].vips

    virtual_time.run(scenario())


def test_an_agent_keeps_a_vip_while_the_kernel_still_sends_for_it(director: Director) -> None:
    """A service that a paused director has not deleted yet keeps its VIP on the agents."""

    async def scenario() -> None:
        daemon = director.daemon
        await director.put_web()
        await daemon.agents.register("rs1", Registration(rip(1), ("web",)), by="rs1")
        await daemon.agents.report(
            "rs1", Report(daemon.state.farm_id, (VIP,), (Tunnel("ipip"),)), by="test"
        )
        running = asyncio.create_task(daemon.run())
        await asyncio.sleep(0.1)
        assert {1: 100} == director.bench.weights()
        await daemon.set_mode(Mode(ModeName.OBSERVE))

        await daemon.writer.write(PutFarm(Farm({}, {"web": pool()}), force=True), by="test")
        await asyncio.sleep(0.1)
        found = await daemon.agents.assignment("rs1", None, 0)
        assert found is not None
        assert (VIP,) == found[1].vips

        await daemon.set_mode(Mode())
        found = await daemon.agents.assignment("rs1", found[0], 25)
        assert found is not None
        assert () == found[1].vips
        running.cancel()

    virtual_time.run(scenario())


def test_adopting_must_not_remove_destinations_unless_forced(director: Director) -> None:
    """A destination that the farm does not have is named, and nothing is claimed."""

    async def scenario() -> None:
        foreign = [
            AddService(WEB_KEY, VirtualServiceConfig("lc")),
            AddDestination(WEB_KEY, DestinationKey(rip(9), 80), DestinationConfig(3)),
        ]
        director.bench.ipvs.apply(foreign)
        await director.put_web(1)
        with pytest.raises(DrasticChange, match=r"192\.0\.2\.19:80"):
            await director.daemon.adopt(None, force=False, by="test")
        assert {} == director.bench.local.claims()

        assert (WEB_KEY,) == await director.daemon.adopt(["web"], force=True, by="test")
        await director.daemon.loop.run_cycle()
        assert {1: 100} == director.bench.weights()
        with pytest.raises(NotFound):
            await director.daemon.adopt(["none"], force=True, by="test")

    virtual_time.run(scenario())


def test_adopting_takes_for_ready_what_the_kernel_serves(director: Director) -> None:
    """An agent that has not reported yet keeps the destination that stands for it."""

    async def scenario() -> None:
        foreign = [
            AddService(WEB_KEY, VirtualServiceConfig("rr")),
            AddDestination(WEB_KEY, DestinationKey(rip(1), 80), DestinationConfig(100)),
        ]
        director.bench.ipvs.apply(foreign)
        await director.put_web(1)
        await director.daemon.agents.register("rs1", Registration(rip(1), ("web",)), by="rs1")

        await director.daemon.adopt(None, force=False, by="test")
        await director.daemon.loop.run_cycle()

        assert {1: 100} == director.bench.weights()

    virtual_time.run(scenario())


def test_the_log_names_the_operation_that_was_refused(director: Director) -> None:
    """Timeouts stand before it, and a delete that waits for its VIP was not tried at all."""

    async def scenario() -> None:
        await director.put_web(1)
        bench = director.bench
        host_apply, ipvs_apply = bench.host.apply, bench.ipvs.apply

        def keeping_addresses(changes: Sequence[HostChange]) -> Sequence[Result]:
            if any(isinstance(change.key, AddressKey) for change in changes):
                return [Failed(errno.EPERM)] * len(changes)
            return host_apply(changes)

        def refusing_destinations(operations: Sequence[Operation]) -> Sequence[Result]:
            return [
                Failed(errno.ENOMEM) if isinstance(operation, AddDestination) else result
                for operation, result in zip(operations, ipvs_apply(operations), strict=True)
            ]

        bench.host.apply = keeping_addresses  # type: ignore[method-assign]
        bench.ipvs.apply = refusing_destinations  # type: ignore[method-assign]
        mail = replace(web(OTHER_VIP), name="mail", pool="mail")
        farm = Farm(
            {"mail": mail}, {"mail": pool(1, name="mail")}, settings=Settings(udp_timeout_s=60)
        )
        await director.daemon.writer.write(PutFarm(farm, force=True), by="test")
        with capture_logs() as logs:
            await director.daemon.loop.run_cycle()

        refused = [entry["operation"] for entry in logs if entry["event"] == "kernel refused"]
        assert ["add 192.0.2.11:80 weight 100 to tcp 198.51.100.20:80"] == refused
        (changed,) = [entry for entry in logs if entry["event"] == "kernel changed"]
        assert ["set timeouts", "add service"] == [
            " ".join(operation.split()[:2]) for operation in changed["first"]
        ]

    virtual_time.run(scenario())
