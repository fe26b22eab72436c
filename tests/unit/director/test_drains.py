"""Drains: counted down, ended at their deadline, whatever happens to the director meanwhile."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from lvsctl.director.drains.countdown import WINDOW_S, Countdown, drain_warnings, open_connections
from lvsctl.director.main import utc_now
from lvsctl.director.write.edits import DeleteOverride, EndDrain, PutFarm, PutOverride
from lvsctl.errors import DrasticChange, KernelError
from lvsctl.farm.model import Farm, Settings
from lvsctl.farm.status import AdministrativeState, AtDeadline, Deadline, Override, ServerId
from lvsctl.ipvs.table import (
    AddressKey,
    DestinationCounters,
    FwmarkKey,
    Persistence,
    ServiceCounters,
    ServiceKey,
    Traffic,
)
from lvsctl.net import Family, IpProtocol
from tests.unit import virtual_time
from tests.unit.director.farms import OTHER_VIP, VIP, WEB_KEY, pool, rip, state, web
from tests.unit.director.test_daemon import START, Director

RS1 = ServerId("web", "rs1")


def drain(after_s: float | None = None, then: AtDeadline = AtDeadline.CUT) -> PutOverride:
    """Return the edit that drains rs1, with its deadline in seconds from the test's start."""
    deadline = None if after_s is None else Deadline(START + timedelta(seconds=after_s), then)
    draining = AdministrativeState.DRAINING
    return PutOverride(RS1, Override(draining, None, "new disk", "ada", START, deadline))


@pytest.fixture
def director() -> Director:
    return Director()


def set_connections(director: Director, *by_number: int) -> None:
    """Let the kernel count so many active connections to rs1, rs2 and so on."""
    ipvs = director.bench.ipvs

    def counters(
        keys: Collection[ServiceKey] | None = None,
    ) -> Mapping[ServiceKey, ServiceCounters]:
        active = {rip(number): count for number, count in enumerate(by_number, start=1)}
        return {
            key: ServiceCounters(
                Traffic(),
                {
                    at: DestinationCounters(Traffic(), active.get(at.address, 0), 5, 0)
                    for at in service.destinations
                },
            )
            for key, service in ipvs.snapshot(keys).items()
        }

    ipvs.counters = counters  # type: ignore[method-assign]


def test_a_server_is_cut_at_the_deadline_and_not_before(director: Director) -> None:
    """To the millisecond: until then it is there at weight 0, then it is out and disabled."""

    async def scenario() -> None:
        await director.put_web(1, 2)
        running = asyncio.create_task(director.daemon.run())
        await director.daemon.writer.write(drain(60), by="ada")
        await asyncio.sleep(59.999)
        assert {1: 0, 2: 100} == director.bench.weights()
        await asyncio.sleep(0.002)
        assert {2: 100} == director.bench.weights()
        override = director.daemon.state.status.overrides[RS1]
        assert AdministrativeState.DISABLED is override.state
        assert "its drain is over: new disk" == override.reason
        assert None is override.deadline
        running.cancel()

    virtual_time.run(scenario())


def test_what_is_to_be_kept_is_kept_for_ever(director: Director) -> None:
    """After the deadline the server is there at weight 0 as before it."""

    async def scenario() -> None:
        await director.put_web(1, 2)
        running = asyncio.create_task(director.daemon.run())
        await director.daemon.writer.write(drain(60, AtDeadline.KEEP), by="ada")
        await asyncio.sleep(3600)
        assert {1: 0, 2: 100} == director.bench.weights()
        assert AdministrativeState.DRAINING is director.daemon.state.status.overrides[RS1].state
        running.cancel()

    virtual_time.run(scenario())


def test_undraining_half_way_ends_it(director: Director) -> None:
    """At the deadline that was set nothing happens."""

    async def scenario() -> None:
        await director.put_web(1, 2)
        running = asyncio.create_task(director.daemon.run())
        await director.daemon.writer.write(drain(60), by="ada")
        await asyncio.sleep(30)
        await director.daemon.writer.write(DeleteOverride(RS1), by="bob")
        await asyncio.sleep(60)
        assert {1: 100, 2: 100} == director.bench.weights()
        assert {} == director.daemon.drains.countdowns
        running.cancel()

    virtual_time.run(scenario())


@pytest.mark.parametrize("dead_s", [10, 100])
def test_a_director_that_was_dead_meanwhile_keeps_the_deadline(
    director: Director, dead_s: int
) -> None:
    """Where it passed without a director, the next one acts on it at once."""

    async def scenario() -> None:
        await director.put_web(1, 2)
        running = asyncio.create_task(director.daemon.run())
        await director.daemon.writer.write(drain(60), by="ada")
        await asyncio.sleep(20)
        running.cancel()
        await asyncio.sleep(dead_s)
        assert {1: 0, 2: 100} == director.bench.weights()

        director.restart()
        running = asyncio.create_task(director.daemon.run())
        await asyncio.sleep(max(0.0, 40 - dead_s) + 0.1)
        assert {2: 100} == director.bench.weights()
        running.cancel()

    virtual_time.run(scenario())


def test_connections_are_counted_down_with_an_estimate(director: Director) -> None:
    """Ten of a hundred go each second: after four seconds six more are to come."""

    async def scenario() -> None:
        await director.put_web(1, 2)
        set_connections(director, 100, 40)
        running = asyncio.create_task(director.daemon.run())
        await director.daemon.writer.write(drain(), by="ada")
        for left in (100, 90, 80, 70, 60):
            set_connections(director, left, 40)
            await asyncio.sleep(1)
        # The last count was made at the beginning of the last second.
        (server, countdown), *others = director.daemon.drains.countdowns.items()
        assert (RS1, []) == (server, others)
        assert 60 == countdown.connections
        assert 6 == pytest.approx(countdown.left_s, rel=0.3)
        running.cancel()

    virtual_time.run(scenario())


def test_a_kernel_that_cannot_be_counted_does_not_keep_a_server_in(director: Director) -> None:
    """The deadline holds all the same, and counting goes on when the kernel answers again."""

    async def scenario() -> None:
        await director.put_web(1, 2)

        def broken(keys: object = None) -> object:  # noqa: ARG001
            raise KernelError("netlink is out of buffers")

        director.bench.ipvs.counters = broken  # type: ignore[method-assign, assignment]
        running = asyncio.create_task(director.daemon.run())
        with capture_logs() as logs:
            await director.daemon.writer.write(drain(60), by="ada")
            await asyncio.sleep(61)
        assert {2: 100} == director.bench.weights()
        assert "netlink is out of buffers" in {log.get("reason") for log in logs}
        running.cancel()

    virtual_time.run(scenario())


def test_the_last_server_that_serves_is_drained_only_by_force(director: Director) -> None:
    """The refusal names the service and what it would do; one that does not serve is no matter."""

    async def scenario() -> None:
        await director.put_web(1)
        with pytest.raises(DrasticChange, match="connections of web") as refusal:
            await director.daemon.writer.write(drain(), by="ada")
        assert ("edit 192.0.2.11:80 weight 0 of tcp 198.51.100.10:80",) == refusal.value.plan
        forced = replace(drain(), force=True)
        assert (await director.daemon.writer.write(forced, by="ada")).changed
        again = await director.daemon.writer.write(drain(60), by="ada")
        assert again.changed

    virtual_time.run(scenario())


def test_the_last_server_of_a_pool_without_a_service_may_be_drained(director: Director) -> None:
    """Nobody loses anything."""

    async def scenario() -> None:
        await director.daemon.writer.write(PutFarm(Farm({}, {"web": pool(1)})), by="test")
        assert (await director.daemon.writer.write(drain(), by="ada")).changed

    virtual_time.run(scenario())


def test_an_end_that_comes_too_late_changes_nothing(director: Director) -> None:
    """Somebody undrained, or put the deadline off, while it was on its way."""

    async def scenario() -> None:
        await director.put_web(1, 2)
        override = drain(60).override
        end = EndDrain(RS1, override, START + timedelta(seconds=60))
        assert not (await director.daemon.writer.write(end, by="director")).changed
        for edit in (drain(), drain(61), drain(60, AtDeadline.KEEP)):
            await director.daemon.writer.write(edit, by="ada")
            assert not (await director.daemon.writer.write(end, by="director")).changed
        await director.daemon.writer.write(drain(60), by="ada")
        assert (await director.daemon.writer.write(end, by="director")).changed

    virtual_time.run(scenario())


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 1000)), min_size=1))
def test_an_estimate_is_never_negative_and_never_of_old_counts(
    steps: list[tuple[float, int]],
) -> None:
    """Whatever the counts do; with none left it is 0, with more than before there is none."""
    at_s, countdown = 0.0, Countdown(())
    for step_s, connections in steps:
        at_s += step_s
        countdown = countdown.then(at_s, connections)
    assert steps[-1][1] == countdown.connections
    assert at_s - WINDOW_S <= countdown.counts[0][0]
    if countdown.connections == 0:
        assert 0 == countdown.left_s
    elif countdown.counts[0][1] <= countdown.connections:
        assert None is countdown.left_s
    else:
        assert countdown.left_s is None or countdown.left_s >= 0


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (WEB_KEY, 3),
        (AddressKey(IpProtocol.UDP, VIP, 53), 10),
        (FwmarkKey(Family.IPV4, 7), 3),
    ],
)
def test_a_drain_waits_for_what_can_still_be_lost(key: ServiceKey, expected: int) -> None:
    """The kernel counts closing TCP and all of UDP as inactive, and no template as either."""
    assert expected == open_connections(key, DestinationCounters(Traffic(), 3, 7, 2))


def test_clients_that_fare_otherwise_are_named() -> None:
    """Sticky clients that stay, and hashed clients that are refused; none by default."""
    sticky = web(persistence=Persistence(300, 32))
    hashed = replace(web(OTHER_VIP, scheduler="mh"), name="hashed")
    kind = state([sticky, hashed], [pool(1)])
    assert [] == [*drain_warnings(kind, RS1)]
    rough = state(
        [sticky, replace(hashed, flags=frozenset())],
        [pool(1)],
        settings=Settings(sysctls={"expire_quiescent_template": 0}),
    )
    stay, refused = drain_warnings(rough, RS1)
    assert "persistent service web still come here" in stay
    assert "clients of service hashed that hash to this server are refused" in refused
    assert "mh-fallback" in refused


def test_the_clock_of_a_director_is_in_utc() -> None:
    """Deadlines are compared with it."""
    assert timedelta(0) == utc_now().utcoffset()
