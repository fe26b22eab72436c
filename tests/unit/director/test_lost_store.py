"""A director whose store is lost, damaged, another's or behind: the farm goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from lvsctl.director.applied_farm import REMEMBER_EVERY_S
from lvsctl.director.loop import TIMER_S
from lvsctl.director.problems import Component
from lvsctl.director.self_check import CHECK_EVERY_S
from lvsctl.director.write.edits import PutObject
from lvsctl.errors import NotFound, StoreCorrupt, StoreNotAccepted
from lvsctl.events import EventKind
from lvsctl.farm.model import Pool
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.messages.model import Registration, Report, Tunnel
from lvsctl.store.interface import Contents, Mode, ModeName
from lvsctl.store.recovery import Recovery, recovery_code
from tests.support.stores import BreakableStore, commit
from tests.unit import virtual_time
from tests.unit.director.checked import REFUSED
from tests.unit.director.farms import VIP, WEB_ID, WEB_KEY, rip, web
from tests.unit.director.test_daemon import DAMAGE, Director
from tests.unit.director.test_drains import drain
from tests.unit.director.test_events import of
from tests.unit.director.test_health_checks import DETECTED_S, checked, serving

REMEMBERED_S = REMEMBER_EVERY_S + 0.1
MAIL = {ObjectId(Kind.POOL, "mail"): Pool("mail")}


@pytest.fixture
def director() -> Director:
    return Director()


async def beside(director: Director, play: Callable[[], Awaitable[None]]) -> None:
    """Play something beside the director, and stop it as SIGTERM does."""
    running = asyncio.create_task(director.daemon.run())
    await asyncio.sleep(0)
    await play()
    running.cancel()
    await asyncio.sleep(0)
    await director.daemon.close()


class Damaged(BreakableStore):
    """A store whose file cannot be read."""

    def load(self) -> Contents:
        raise StoreCorrupt("farm.db is damaged")


def lost(director: Director) -> None:
    """Have the director start with a new, empty store."""
    director.store = BreakableStore()


def anothers(director: Director) -> None:
    """Have it start with the store of another farm."""
    director.store = BreakableStore()
    commit(director.store, MAIL)


def damaged(director: Director) -> None:
    """Have it start with a store that cannot be read."""
    director.store = Damaged()


def fallen_back(director: Director) -> None:
    """Have it start with a store of the same farm in which the services are not yet."""
    older = BreakableStore()
    older.begin_epoch(director.store.load().farm_id, 0, "test")
    commit(older, MAIL)
    director.store = older


LOSSES = pytest.mark.parametrize("lose", [lost, anothers, damaged, fallen_back])
Lose = Callable[[Director], None]


@LOSSES
def test_nothing_is_written_to_the_kernel_and_drift_is_put_right(
    director: Director, lose: Lose
) -> None:
    """Every service stays, however long; what somebody else changes is mended as ever."""

    async def before() -> None:
        await director.put_web(1, 2)
        await director.daemon.writer.write(PutObject(WEB_ID, web(scheduler="lc")), by="ada")
        await asyncio.sleep(REMEMBERED_S)

    async def after() -> None:
        await asyncio.sleep(3 * TIMER_S)
        assert [] == director.bench.ipvs.told
        director.bench.ipvs.apply([DAMAGE])
        await asyncio.sleep(2 * TIMER_S)
        assert {1: 100, 2: 100} == director.bench.weights()
        assert "lc" == director.bench.ipvs.snapshot()[WEB_KEY].config.scheduler
        assert {VIP} == director.bench.local_vips()

    async def scenario() -> None:
        await beside(director, before)
        lose(director)
        director.restart()
        director.bench.ipvs.told.clear()
        await beside(director, after)

    virtual_time.run(scenario())


@LOSSES
def test_health_is_checked_and_drains_stay_in_force(director: Director, lose: Lose) -> None:
    """A server that dies goes, one that is drained gets nothing, also after its deadline."""

    async def before() -> None:
        await serving(director, checked(1, 2, 3))
        await director.daemon.writer.write(drain(60), by="ada")
        await asyncio.sleep(REMEMBERED_S)

    async def after() -> None:
        await asyncio.sleep(TIMER_S)
        assert {1: 0, 2: 100, 3: 100} == director.bench.weights()
        director.servers.tunnel[rip(2)] = REFUSED
        await asyncio.sleep(DETECTED_S)
        assert {1: 0, 3: 100} == director.bench.weights()
        with capture_logs() as logs:
            await asyncio.sleep(300)
        assert {1: 0, 3: 100} == director.bench.weights()
        refused = [each for each in logs if each["event"] == "drains could not be followed"]
        assert 1 == len(refused)

    async def scenario() -> None:
        await beside(director, before)
        lose(director)
        director.restart()
        await beside(director, after)

    virtual_time.run(scenario())


@LOSSES
def test_agents_are_told_what_they_were_told(director: Director, lose: Lose) -> None:
    """Nobody loses a VIP, also one that joins again; what it says anew is refused."""
    joined = Registration(rip(1), ("web",))
    told = []

    async def before() -> None:
        await director.put_web()
        await director.daemon.agents.register("rs1", joined, by="rs1")
        ready = Report(director.daemon.state.farm_id, (VIP,), (Tunnel("ipip"),))
        await director.daemon.agents.report("rs1", ready, by="test")
        await asyncio.sleep(REMEMBERED_S)
        told.append(await director.daemon.agents.assignment("rs1", None, 0))

    async def after() -> None:
        await asyncio.sleep(1)
        assert told == [await director.daemon.agents.assignment("rs1", None, 0)]
        await director.daemon.agents.register("rs1", joined, by="rs1")
        with pytest.raises(StoreNotAccepted):
            await director.daemon.agents.register("rs2", replace(joined, address=rip(2)), by="rs2")
        assert {1: 100} == director.bench.weights()

    async def scenario() -> None:
        await beside(director, before)
        lose(director)
        director.restart()
        await beside(director, after)

    virtual_time.run(scenario())


@LOSSES
def test_it_is_an_alarm_and_writes_are_refused(director: Director, lose: Lose) -> None:
    """Said once, as a problem of the farm, not of the disk; the mode can still be set."""

    async def before() -> None:
        await director.put_web(1)
        await asyncio.sleep(REMEMBERED_S)

    async def after() -> None:
        with pytest.raises(StoreNotAccepted, match="refuses writes"):
            await director.daemon.writer.write(PutObject(WEB_ID, web(scheduler="lc")), by="ada")
        await asyncio.sleep(3 * CHECK_EVERY_S)
        assert [Component.FARM] == [*director.daemon.problems]
        ((subject, detail),) = of(director, EventKind.DIRECTOR_PROBLEM)
        assert ("farm", True) == (subject, "farm.db" in detail)
        paused = Mode(ModeName.OBSERVE, "a look")
        await director.daemon.set_mode(paused)
        assert paused == director.daemon.mode.current

    async def scenario() -> None:
        await beside(director, before)
        lose(director)
        director.restart()
        await beside(director, after)

    virtual_time.run(scenario())


@pytest.mark.parametrize("lose", [lost, damaged])
def test_where_nothing_is_remembered_either_it_only_looks(director: Director, lose: Lose) -> None:
    """A store that cannot be read, and a local state that is lost: nothing is known."""

    async def before() -> None:
        await director.put_web(1)
        await director.daemon.agents.register("rs7", Registration(rip(7), ("web",)), by="rs7")
        await asyncio.sleep(REMEMBERED_S)

    async def after() -> None:
        await asyncio.sleep(3 * TIMER_S)
        assert [] == director.bench.ipvs.told
        with pytest.raises(NotFound):
            await director.daemon.agents.assignment("rs7", None, 0)
        if director.guarded.is_blind:
            assert ModeName.OBSERVE is director.daemon.mode.current.name
            assert "only observes" in director.daemon.mode.current.reason
            with pytest.raises(StoreNotAccepted):
                await director.daemon.set_mode(Mode())
            assert None is director.bench.local.remembered()

    async def scenario() -> None:
        await beside(director, before)
        lose(director)
        director.bench.forget()
        director.restart()
        assert (lose is damaged) is director.guarded.is_blind
        director.bench.ipvs.told.clear()
        await beside(director, after)

    virtual_time.run(scenario())


def restored(director: Director, *, restore: bool) -> None:
    """Decide about the store that the director has."""
    applied = director.bench.local.remembered()
    assert applied
    code = recovery_code(director.store.load(), applied)
    director.recovery = Recovery(code, restore)


@pytest.mark.parametrize("lose", [lost, anothers, fallen_back])
def test_a_farm_that_is_restored_costs_nothing(director: Director, lose: Lose) -> None:
    """The same farm in a new epoch: the kernel is as it was, and writes are taken again."""

    async def before() -> None:
        await director.put_web(1, 2)
        await director.daemon.writer.write(drain(), by="ada")
        await asyncio.sleep(REMEMBERED_S)

    async def after() -> None:
        await asyncio.sleep(3 * TIMER_S)
        assert [] == director.bench.ipvs.told
        assert {} == director.daemon.problems
        assert {1: 0, 2: 100} == director.bench.weights()
        await director.daemon.writer.write(PutObject(WEB_ID, web(scheduler="lc")), by="ada")
        await asyncio.sleep(REMEMBERED_S)
        assert "lc" == director.bench.ipvs.snapshot()[WEB_KEY].config.scheduler
        remembered = director.bench.local.remembered()
        assert remembered
        assert director.daemon.state.position == remembered.position

    async def scenario() -> None:
        await beside(director, before)
        was = director.daemon.state.position
        lose(director)
        restored(director, restore=True)
        director.restart()
        director.bench.ipvs.told.clear()
        now = director.daemon.state.position
        assert (was.farm_id, was.epoch + 1) == (now.farm_id, now.epoch)
        await beside(director, after)
        director.restart()  # with the flag left where it was
        assert "" == director.guarded.refusal

    virtual_time.run(scenario())


@pytest.mark.parametrize("lose", [anothers, fallen_back])
def test_a_store_that_is_accepted_is_followed(director: Director, lose: Lose) -> None:
    """Then, and only then, what it does not have goes; agents hear it from the same farm."""

    async def before() -> None:
        await director.put_web(1, 2)
        await asyncio.sleep(REMEMBERED_S)

    async def after() -> None:
        await asyncio.sleep(TIMER_S)
        assert {} == director.bench.ipvs.snapshot()
        assert set() == director.bench.local_vips()

    async def scenario() -> None:
        await beside(director, before)
        farm_id = director.daemon.state.farm_id
        lose(director)
        restored(director, restore=False)
        director.restart()
        state = director.daemon.state
        assert (farm_id, 2, {"mail"}) == (state.farm_id, state.epoch, set(state.farm.pools))
        await beside(director, after)

    virtual_time.run(scenario())


def test_it_is_remembered_at_most_once_a_second_and_at_the_end(director: Director) -> None:
    """Whatever is written meanwhile; a stop loses nothing of it."""
    kept: list[int] = []
    remember = director.bench.local.remember

    def counted(contents: Contents) -> None:
        kept.append(contents.revision)
        remember(contents)

    director.bench.local.remember = counted  # type: ignore[method-assign]

    async def play() -> None:
        for _ in range(20):
            for scheduler in ("lc", "wrr"):
                await director.daemon.writer.write(
                    PutObject(WEB_ID, web(scheduler=scheduler)), by="ada"
                )
                await asyncio.sleep(0.1)
        await director.daemon.writer.write(PutObject(WEB_ID, web(scheduler="rr")), by="ada")
        await asyncio.sleep(0.01)

    async def scenario() -> None:
        await director.put_web(1)
        await beside(director, play)
        assert len(kept) <= 7
        assert sorted(kept) == kept
        assert director.daemon.state.revision == kept[-1]

    virtual_time.run(scenario())


def test_a_disk_that_remembers_nothing_is_a_problem_and_tried_again(director: Director) -> None:
    """The farm is written and applied all the same."""

    async def play() -> None:
        director.refuse(Component.LOCAL_STATE, "no space")
        await director.put_web()
        await asyncio.sleep(3)
        assert [Component.LOCAL_STATE] == [*director.daemon.problems]
        director.refuse(Component.LOCAL_STATE, "")
        await asyncio.sleep(2 * TIMER_S)
        remembered = director.bench.local.remembered()
        assert remembered
        assert director.daemon.state.position == remembered.position
        assert {} == director.daemon.problems

    async def scenario() -> None:
        await beside(director, play)

    virtual_time.run(scenario())
