"""A comparison of everything: in slices, dirty work first, and what may be said after it."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsctl.director.cycles import BEGUN_ANEW, Cycles
from lvsctl.director.loop import TIMER_S
from lvsctl.director.reconcile.cycle import Cycle
from lvsctl.director.reconcile.reconciler import MOST_OBSERVED_AGAIN
from lvsctl.director.reconcile.resync import SLICE_S
from lvsctl.director.state import State
from lvsctl.director.write.edits import PutFarm, PutRealServer
from lvsctl.farm.compile import compile_farm
from lvsctl.farm.model import Farm, RealServer
from lvsctl.ipvs.table import (
    AddressKey,
    AddService,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    ServiceKey,
    VirtualServiceConfig,
)
from lvsctl.net import IpProtocol
from lvsctl.reasons.reason import Reason
from tests.support.reasons import because
from tests.unit import virtual_time
from tests.unit.director.farms import OTHER_VIP, VIP, WEB_KEY, agent, pool, rip, state, web
from tests.unit.director.test_daemon import Director, InlineWorker
from tests.unit.director.test_reconciler import Bench

SERVICES = 40
FARM = state(
    [web(VIP + n, name=f"s{n}", pool=f"p{n}") for n in range(SERVICES)],
    [pool(1, name=f"p{n}") for n in range(SERVICES)],
)
NAMES = frozenset(FARM.farm.services)
FOREIGN = AddressKey(IpProtocol.TCP, IPv4Address("203.0.113.9"), 80)


class StepClock:
    """Every look at it finds a whole slice over, so that each slice compares one service."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += SLICE_S
        return self.now_s


class Sliced:
    """A reconciler with a farm in its kernel, whose every slice is as short as can be."""

    def __init__(self) -> None:
        self.bench = Bench(monotonic=StepClock())
        self.bench.cycle(FARM)
        self.cycles = Cycles(InlineWorker("test"), self.bench.reconciler)
        self.state = FARM
        self.slices = 0

    async def resync(self, between: Callable[[], None] = lambda: None) -> Cycle:
        async def and_count() -> None:
            self.slices += 1
            between()

        return await self.cycles.in_slices(lambda: self.state, str, and_count)

    def write(self, names: Collection[str], weight: int) -> None:
        """Change the weight of the servers of some services."""
        pools = {
            f"p{name[1:]}": replace(
                pool(name=f"p{name[1:]}"), real_servers=(RealServer("rs1", rip(1), weight=weight),)
            )
            for name in names
        }
        farm = replace(self.state.farm, pools={**self.state.farm.pools, **pools})
        self.state = State("farm", 1, self.state.revision + 1, {}, farm, FARM.status)
        self.bench.cycle(self.state, frozenset(names))

    @property
    def weights(self) -> set[int]:
        """Every weight in the kernel."""
        return {
            config.weight
            for service in self.bench.ipvs.snapshot().values()
            for config in service.destinations.values()
        }


@pytest.fixture
def sliced() -> Sliced:
    return Sliced()


@pytest.fixture
def director() -> Director:
    return Director()


def damage(number: int) -> EditDestination:
    """Return what somebody else does to a service."""
    key = AddressKey(IpProtocol.TCP, VIP + number, 80)
    return EditDestination(key, DestinationKey(rip(1), 80), DestinationConfig(1))


def test_between_two_slices_there_is_room(sliced: Sliced) -> None:
    """As many slices as there are services, when each takes one."""
    asyncio.run(sliced.resync())
    assert sliced.slices > SERVICES


def test_what_differs_is_put_right_and_nothing_else_is_observed(
    sliced: Sliced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is as it should be is not read twice."""
    sliced.bench.ipvs.apply([damage(3), damage(7)])
    read = sliced.bench.ipvs.snapshot
    observed: list[Collection[ServiceKey]] = []

    def snapshot(keys: Collection[ServiceKey] | None = None) -> object:
        observed.append(read().keys() if keys is None else keys)
        return read(keys)

    sweep = sliced.bench.ipvs.sweep
    monkeypatch.setattr(sliced.bench.ipvs, "sweep", lambda: swept(sweep))
    monkeypatch.setattr(sliced.bench.ipvs, "snapshot", snapshot)

    def swept(begin: Callable[[], object]) -> object:
        monkeypatch.setattr(sliced.bench.ipvs, "snapshot", read)
        try:
            return begin()
        finally:
            monkeypatch.setattr(sliced.bench.ipvs, "snapshot", snapshot)

    cycle = asyncio.run(sliced.resync())
    assert {"s3", "s7"} == cycle.dirty
    assert [2] == [len(keys) for keys in observed]
    assert {100} == sliced.weights


def test_a_write_between_slices_is_not_undone(sliced: Sliced) -> None:
    """Whether its service was compared before it or not."""
    order = iter(sorted(NAMES))

    def write() -> None:
        if (name := next(order, None)) is not None:
            sliced.write([name], 7)

    cycle = asyncio.run(sliced.resync(write))
    assert {7} == sliced.weights
    assert () == cycle.results


def test_what_was_written_meanwhile_is_observed_again(sliced: Sliced) -> None:
    """So that what is known of the whole is as of the end."""
    writes = iter([["s1", "s2"]])
    cycle = asyncio.run(sliced.resync(lambda: sliced.write(next(writes, ()), 7)))
    assert cycle.dirty is not None
    assert {"s1", "s2"} <= cycle.dirty
    assert cycle.is_complete


def test_a_large_write_lets_it_begin_anew(sliced: Sliced) -> None:
    """Observing all of that again would hold the thread."""
    writes = iter([NAMES])
    cycle = asyncio.run(sliced.resync(lambda: sliced.write(next(writes, ()), 7)))
    assert len(NAMES) > MOST_OBSERVED_AGAIN
    assert frozenset() == cycle.dirty
    assert 2 * SERVICES < sliced.slices < 3 * SERVICES


def test_large_writes_all_the_time_do_not_keep_it_from_its_end(sliced: Sliced) -> None:
    """It begins anew a few times, and then observes whatever was written."""

    def write_now_and_then() -> None:
        if sliced.slices % 15 == 0:
            sliced.write(NAMES, sliced.slices)

    cycle = asyncio.run(sliced.resync(write_now_and_then))
    assert cycle.is_complete
    assert NAMES == cycle.dirty
    assert sliced.slices <= (BEGUN_ANEW + 1) * (SERVICES + 3)


def test_a_service_that_goes_meanwhile_is_not_taken_for_foreign(sliced: Sliced) -> None:
    """Nor one that comes for missing; what really is foreign is found."""
    sliced.bench.ipvs.apply([AddService(FOREIGN, VirtualServiceConfig("rr"))])

    def exchange_once() -> None:
        if sliced.state is FARM:
            exchange(sliced)

    cycle = asyncio.run(sliced.resync(exchange_once))
    assert (FOREIGN,) == cycle.foreign
    assert () == cycle.results
    assert {"s0", "new"} <= (cycle.dirty or set())


def exchange(sliced: Sliced) -> None:
    """Delete one service and add another, as a write does."""
    services = {name: each for name, each in FARM.farm.services.items() if name != "s0"}
    services["new"] = web(OTHER_VIP + 100, name="new", pool="p0")
    farm = replace(FARM.farm, services=services)
    sliced.state = State("farm", 1, 2, {}, farm, FARM.status)
    sliced.bench.cycle(sliced.state, frozenset({"s0", "new"}))


def test_a_key_that_another_service_took_over_while_paused_is_kept(sliced: Sliced) -> None:
    """Who had it before is found to be gone, and yet nothing is deleted."""
    services = {name: each for name, each in FARM.farm.services.items() if name != "s0"}
    services["renamed"] = replace(FARM.farm.services["s0"], name="renamed")
    farm = replace(FARM.farm, services=services)
    sliced.state = State("farm", 1, 2, {}, farm, FARM.status)
    sliced.bench.cycle(sliced.state, frozenset({"s0", "renamed"}), because("paused"))

    cycle = asyncio.run(sliced.resync())

    assert () == cycle.operations
    assert WEB_KEY in sliced.bench.ipvs.snapshot()
    assert "renamed" == sliced.bench.reconciler.claims.services[WEB_KEY]


def test_tunnels_in_use_are_found_in_all_services(sliced: Sliced) -> None:
    """In those that are as they should be, too."""
    with_agent = replace(
        FARM.status, agents={"rs1": replace(agent(1, VIP), pools=("p0",), address=rip(1))}
    )
    sliced.state = replace(FARM, revision=2, status=with_agent)
    cycle = asyncio.run(sliced.resync())
    assert {rip(1)} == cycle.tunnels.keys()


def test_dirty_work_goes_before_each_slice(director: Director) -> None:
    """However much there is of it, both go on: a write waits for one slice, and drift is found."""
    waited: list[int] = []

    async def scenario() -> None:
        farm = Farm(FARM.farm.services, FARM.farm.pools)
        await director.daemon.writer.write(PutFarm(farm), by="test")
        await director.daemon.loop.run_cycle()
        running = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(0.1)
        director.bench.ipvs.apply([damage(39)])
        writing = asyncio.create_task(write_all_the_time(director, waited))
        await asyncio.sleep(TIMER_S + 0.5)
        writing.cancel()
        await asyncio.sleep(TIMER_S + 0.5)
        weights = {
            config.weight
            for key, service in director.bench.ipvs.snapshot().items()
            for config in service.destinations.values()
            if key == AddressKey(IpProtocol.TCP, VIP + 39, 80)
        }
        assert {100} == weights
        running.cancel()

    virtual_time.run(scenario())
    assert waited


async def write_all_the_time(director: Director, waited: list[int]) -> None:
    """Write, and wait for the kernel each time."""
    daemon = director.daemon
    for weight in range(1, 1_000_000):
        server = RealServer("rs1", rip(1), weight=weight % 100)
        written = await daemon.writer.write(PutRealServer("p0", server), by="test")
        assert (await daemon.loop.applied(written, 5)).applied
        waited.append(weight)
        await asyncio.sleep(0.1)


def test_an_unchanged_kernel_is_not_compiled_for_anew(
    sliced: Sliced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor compared value by value: what it is and should be are the very same objects."""
    asyncio.run(sliced.resync())
    monkeypatch.setattr("lvsctl.director.reconcile.compiled.compile_desired", pytest.fail)
    cycle = asyncio.run(sliced.resync())
    assert frozenset() == cycle.dirty


def test_a_service_that_somebody_deleted_is_made_again(sliced: Sliced) -> None:
    """As is one whose key somebody else has taken meanwhile, if it is ours."""
    sliced.bench.ipvs.apply([DeleteService(WEB_KEY)])
    cycle = asyncio.run(sliced.resync())
    assert {"s0"} == cycle.dirty
    assert WEB_KEY in sliced.bench.ipvs.snapshot()


names = st.sampled_from(["a", "b", "c"])
farms = st.dictionaries(
    names, st.tuples(st.integers(0, 3), st.sampled_from(["p1", "p2"])), max_size=3
).filter(lambda services: len({vip for vip, _ in services.values()}) == len(services))
steps = st.lists(st.tuples(farms, st.booleans(), st.booleans()), min_size=1, max_size=5)


def farm_of(services: Mapping[str, tuple[int, str]], revision: int) -> State:
    """Return a farm of services on some VIPs, over two pools."""
    return state(
        [web(VIP + vip, name=name, pool=of) for name, (vip, of) in services.items()],
        [pool(1, name="p1"), pool(2, name="p2")],
        revision=revision,
    )


@settings(max_examples=100, deadline=None)
@given(steps)
def test_it_leads_where_comparing_all_at_once_leads(
    taken: Sequence[tuple[Mapping[str, tuple[int, str]], bool, bool]],
) -> None:
    """Whatever was changed before, paused or not, and whether anybody was woken for it."""
    bench, present = Bench(monotonic=StepClock()), farm_of({}, 1)
    cycles = Cycles(InlineWorker("test"), bench.reconciler)
    bench.cycle(present)

    def resync(why: Reason | None) -> Cycle:
        return asyncio.run(cycles.in_slices(lambda: present, lambda: why))

    for revision, (services, paused, is_announced) in enumerate(taken, 2):
        before, present = present, farm_of(services, revision)
        why = because("paused") if paused else None
        if is_announced:
            dirty = before.farm.services.keys() | present.farm.services.keys()
            bench.cycle(present, frozenset(dirty), why)
        cycle = resync(why)
        wanted = compile_farm(present.farm, present.status)
        deleted = {each.key for each in cycle.operations if isinstance(each, DeleteService)}
        assert deleted.isdisjoint(wanted)
        assert () == cycle.foreign
    for _ in range(2):  # what has moved goes when its new place serves
        cycle = resync(None)
    assert compile_farm(present.farm, present.status) == bench.ipvs.snapshot()
    assert bench.reconciler.claims.services == {
        key: name for key, (name,) in present.index.keys.items()
    }
    assert {} == cycle.orphaned
