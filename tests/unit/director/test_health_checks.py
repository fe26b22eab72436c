"""A director that checks its servers: when they leave the table, return, and stay, and why."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_interface

import pytest

from lvsctl.director.loop import TIMER_S
from lvsctl.director.write.edits import DeleteObject, PutFarm, PutObject
from lvsctl.events import EventKind
from lvsctl.farm.checks import HealthCheck, TcpRequest, Through
from lvsctl.farm.model import Farm, Pool
from lvsctl.farm.policy import HealthPolicy, OnDown, Quorum, SlowStart
from lvsctl.health.target import TargetId
from lvsctl.host.interface import AddressKey, HostChange, SysctlConfig, SysctlKey
from lvsctl.ipvs.table import DeleteService, FwmarkKey
from lvsctl.messages.model import Finding, Registration, Report, Severity, Tunnel
from lvsctl.reasons.reason import in_words
from tests.unit import virtual_time
from tests.unit.director.checked import BROKEN, REFUSED
from tests.unit.director.farms import OTHER_VIP, POOL_ID, VIP, WEB_ID, WEB_KEY, pool, rip, web
from tests.unit.director.test_daemon import DAMAGE, Director

INTERVAL_S, FAST_S, TIMEOUT_S = 2.0, 1.0, 1.0
TUNNEL = HealthCheck(TcpRequest(), jitter=0.1)
DIRECT = replace(TUNNEL, through=Through.DIRECT)
DETECTED_S = INTERVAL_S * 1.1 + 2 * max(FAST_S, TIMEOUT_S) + TIMEOUT_S + 1.5
RISEN_S = INTERVAL_S * 1.1 + FAST_S + 1.5


def checked(*numbers: int, check: HealthCheck = TUNNEL, **policy: object) -> Pool:
    return replace(
        pool(*numbers),
        health_checks=(check,),
        health_policy=HealthPolicy(**policy),  # type: ignore[arg-type]
    )


@contextlib.asynccontextmanager
async def running(director: Director) -> AsyncIterator[Director]:
    """Let a director run."""
    task = asyncio.create_task(director.daemon.run())
    await asyncio.sleep(0)
    yield director
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def serving(director: Director, of: Pool, **service: object) -> None:
    """Declare a farm, and wait until every server of it has passed."""
    await director.daemon.writer.write(
        PutFarm(Farm({"web": web(**service)}, {"web": of})), by="test"
    )
    await asyncio.sleep(3)
    assert dict.fromkeys(range(1, len(of.real_servers) + 1), 100) == director.bench.weights()


def seen(director: Director) -> list[EventKind]:
    return [each.event.kind for each in director.daemon.events.after(0)]


def health(director: Director, number: int) -> tuple[bool | None, str]:
    target = TargetId("web", f"rs{number}", VIP)
    found = director.daemon.health.verdicts.health[target]
    return found.healthy, in_words(found.reasons)


def frozen(director: Director) -> dict[str, str]:
    return {each.server: str(why) for each, why in director.daemon.health.verdicts.frozen.items()}


def scenario(play: Callable[[Director], Awaitable[None]]) -> None:
    """Play with a running director."""

    async def staged() -> None:
        async with running(Director()) as director:
            await play(director)

    virtual_time.run(staged())


@pytest.mark.parametrize("check", [TUNNEL, DIRECT], ids=["tunnel", "direct"])
def test_a_new_server_is_out_until_its_first_pass(check: HealthCheck) -> None:
    """The service stands without it; one pass is enough."""

    async def play(director: Director) -> None:
        director.servers.tunnel[rip(2)] = director.servers.direct[rip(2)] = REFUSED
        farm = Farm({"web": web()}, {"web": checked(1, 2, check=check)})
        await director.daemon.writer.write(PutFarm(farm), by="test")
        await asyncio.sleep(0)
        assert {} == director.bench.weights()
        await asyncio.sleep(3)
        assert {1: 100} == director.bench.weights()
        director.servers.tunnel.clear()
        director.servers.direct.clear()
        await asyncio.sleep(RISEN_S)
        assert {1: 100, 2: 100} == director.bench.weights()

    scenario(play)


@pytest.mark.parametrize("silent", [False, True])
def test_a_server_that_fails_leaves_within_the_bound(*, silent: bool) -> None:
    """And is back after rise passes, at the latest so long after it is mended."""

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2, 3))
        director.servers.tunnel[rip(2)] = None if silent else REFUSED
        await asyncio.sleep(INTERVAL_S * 0.9)
        assert {1: 100, 2: 100, 3: 100} == director.bench.weights()
        await asyncio.sleep(DETECTED_S - INTERVAL_S * 0.9)
        assert {1: 100, 3: 100} == director.bench.weights()
        director.servers.tunnel.clear()
        await asyncio.sleep(RISEN_S)
        assert {1: 100, 2: 100, 3: 100} == director.bench.weights()
        assert [EventKind.SERVER_DOWN, EventKind.SERVER_UP] == [
            kind for kind in seen(director)[-6:] if kind.startswith("server-")
        ][-2:]

    scenario(play)


def test_what_follows_from_health_is_no_drift() -> None:
    """What somebody changes by hand meanwhile is."""

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2))
        director.servers.tunnel[rip(2)] = REFUSED
        await asyncio.sleep(DETECTED_S)
        director.servers.tunnel.clear()
        await asyncio.sleep(RISEN_S)
        assert EventKind.DRIFT not in seen(director)
        director.bench.ipvs.apply([DAMAGE])
        await asyncio.sleep(TIMER_S)
        assert EventKind.DRIFT in seen(director)

    scenario(play)


def test_the_pair_of_checks_says_what_is_wrong() -> None:
    """The application answers directly, and not through the tunnel."""

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2))
        director.servers.tunnel[rip(2)] = None
        await asyncio.sleep(DETECTED_S)
        healthy, reason = health(director, 2)
        assert healthy is False
        assert "the application answers on 192.0.2.12, nothing comes back" in reason
        assert "tunl0" in reason
        director.servers.direct[rip(2)] = None
        await asyncio.sleep(10)
        assert "nor does it answer directly: timed out" in health(director, 2)[1]

    scenario(play)


def test_what_the_agent_found_is_in_the_reason() -> None:
    """It looks at the very host."""

    async def play(director: Director) -> None:
        daemon = director.daemon
        await serving(director, checked(1, 2))
        await daemon.agents.register("rs2", Registration(rip(2), ("web",)), by="test")
        found = Finding(Severity.BROKEN, "tunl0", "it is down", "", "2026-01-01T00:00:00Z")
        ready = Report(daemon.state.farm_id, (VIP,), (Tunnel("ipip"),), (found,))
        await daemon.agents.report("rs2", ready, by="agent rs2")
        director.servers.tunnel[rip(2)] = REFUSED
        await asyncio.sleep(DETECTED_S)
        assert health(director, 2)[1].endswith(
            "its agent reports tunl0: it is down (broken, 2026-01-01T00:00:00Z)"
        )

    scenario(play)


def test_what_serves_is_not_taken_out_for_want_of_a_verdict() -> None:
    """A pool that gets its first check keeps its servers, and so does one that gets another."""

    async def play(director: Director) -> None:
        await director.put_web(1, 2)
        director.servers.tunnel[rip(2)] = BROKEN
        await director.daemon.writer.write(PutObject(POOL_ID, checked(1, 2)), by="test")
        for _ in range(20):
            await asyncio.sleep(0.05)
            assert {1: 100, 2: 100} == director.bench.weights()
        await asyncio.sleep(DETECTED_S)
        assert {1: 100} == director.bench.weights()
        changed = replace(checked(1, 2), health_checks=(replace(TUNNEL, port=81),))
        await director.daemon.writer.write(PutObject(POOL_ID, changed), by="test")
        for _ in range(20):
            await asyncio.sleep(0.05)
            assert {1: 100} == director.bench.weights()

    scenario(play)


def test_a_restart_changes_no_destination() -> None:
    """Neither a server that is down nor one that is up; nothing unchecked is assumed down."""
    director = Director()

    async def before() -> None:
        async with running(director):
            await serving(director, checked(1, 2, 3, on_down=OnDown.QUIESCE))
            director.servers.tunnel[rip(2)] = REFUSED
            await asyncio.sleep(DETECTED_S)
            assert {1: 100, 2: 0, 3: 100} == director.bench.weights()

    async def after() -> None:
        director.restart()
        director.bench.ipvs.told.clear()
        async with running(director):
            await asyncio.sleep(20)
            farm_keys = [op for op in director.bench.ipvs.told if "fwmark" not in str(op)]
            assert [] == farm_keys
            assert {1: 100, 2: 0, 3: 100} == director.bench.weights()

    virtual_time.run(before())
    virtual_time.run(after())


def mark_of(director: Director, number: int) -> FwmarkKey:
    marks = director.bench.local.probe_marks()
    return next(
        FwmarkKey(path.family, mark.mark)
        for path, mark in marks.items()
        if path.server == rip(number)
    )


def flush_marks(director: Director) -> None:
    director.bench.ipvs.apply([DeleteService(mark_of(director, n)) for n in (1, 2)])


ACCEPT_LOCAL = SysctlKey(("net", "ipv4", "conf", "eth0", "accept_local"))


def reset_accept_local(director: Director) -> None:
    director.bench.host.apply([HostChange(ACCEPT_LOCAL, SysctlConfig("0"))])


def take_the_dip_away(director: Director) -> None:
    key = AddressKey("eth0", ip_interface("192.0.2.10/24"))
    director.bench.host.apply([HostChange(key, None)])


def take_the_vip_away(director: Director) -> None:
    key = AddressKey("lvs0", ip_interface(f"{VIP}/32"))
    director.bench.host.apply([HostChange(key, None)])


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (flush_marks, "has no virtual service"),
        (reset_accept_local, "accept_local is 0"),
        (take_the_dip_away, "no route to"),
        (take_the_vip_away, "is not on this director"),
    ],
)
def test_a_fault_of_the_directors_own_freezes(fault: Callable[[Director], None], says: str) -> None:
    """All probes fail because of it, and nothing is removed; it is told, and told when it is over.

    The fault is made again and again, as the director mends what it can.
    """

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2))
        director.servers.tunnel.update({rip(1): None, rip(2): None})
        heard = set()
        for _ in range(200):
            fault(director)
            await asyncio.sleep(0.1)
            assert {1: 100, 2: 100} == director.bench.weights()
            heard |= set(frozen(director).values())
        assert any(says in why for why in heard), heard
        assert EventKind.HEALTH_FROZEN in seen(director)
        assert [True, True] == [health(director, n)[0] for n in (1, 2)]

    scenario(play)


def test_a_silence_of_all_that_answer_directly_is_the_directors() -> None:
    """As when its firewall drops what comes from the VIP; one of several is not believed."""

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2, 3))
        director.servers.tunnel.update({rip(n): None for n in (1, 2, 3)})
        await asyncio.sleep(60)
        assert {1: 100, 2: 100, 3: 100} == director.bench.weights()
        assert {"rs1", "rs2", "rs3"} == set(frozen(director))
        assert "iptables -I INPUT -s 198.51.100.10 -d 192.0.2.10" in frozen(director)["rs1"]
        del director.servers.tunnel[rip(3)]
        await asyncio.sleep(DETECTED_S)
        assert {3: 100} == director.bench.weights()
        assert {} == frozen(director)

    scenario(play)


@pytest.mark.parametrize("fall", [2, 3])
@pytest.mark.parametrize("seed", range(10))
def test_no_server_is_down_before_the_others_could_be_heard(fall: int, seed: int) -> None:
    """Whichever was asked first when a firewall of the director's began to drop answers."""

    async def play(director: Director) -> None:
        director.random = random.Random(seed).random  # noqa: S311 - spreads, hides nothing
        quick = replace(TUNNEL, fast_interval_s=0.2, timeout_s=0.2, fall=fall, jitter=0.5)
        await serving(director, checked(1, 2, 3, check=quick))
        director.servers.tunnel.update({rip(n): None for n in (1, 2, 3)})
        for seconds in (10, 1, 2, 3):  # and when it lets them in again, and again drops them
            for _ in range(10 * seconds):
                await asyncio.sleep(0.1)
                assert {1: 100, 2: 100, 3: 100} == director.bench.weights()
            if seconds > DETECTED_S:
                assert {"rs1", "rs2", "rs3"} == set(frozen(director))
            opened = director.servers.tunnel.copy()
            director.servers.tunnel.clear()
            for _ in range(100):
                await asyncio.sleep(0.1)
                assert {1: 100, 2: 100, 3: 100} == director.bench.weights()
            director.servers.tunnel.update(opened)

    scenario(play)


def test_no_server_is_down_before_its_direct_answer_could_be_heard() -> None:
    """On a busy director it comes later than the second silence: the verdict waits for it."""

    async def play(director: Director) -> None:
        quick = replace(TUNNEL, fast_interval_s=0.2, timeout_s=0.2, fall=2)
        await serving(director, checked(1, 2, 3, check=quick))
        director.servers.direct_took_s = 1.0
        director.servers.tunnel.update({rip(n): None for n in (1, 2, 3)})
        for _ in range(100):
            await asyncio.sleep(0.1)
            assert {1: 100, 2: 100, 3: 100} == director.bench.weights()
            assert [True, True, True] == [health(director, n)[0] for n in (1, 2, 3)]
        assert {"rs1", "rs2", "rs3"} == set(frozen(director))

    scenario(play)


def test_all_that_are_dead_directly_too_are_down() -> None:
    """That is no fault of the director; panic keeps them."""

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2))
        for answers in (director.servers.tunnel, director.servers.direct):
            answers.update({rip(1): None, rip(2): None})
        await asyncio.sleep(DETECTED_S)
        assert [False, False] == [health(director, n)[0] for n in (1, 2)]
        assert {1: 100, 2: 100} == director.bench.weights()
        assert EventKind.PANIC in seen(director)

    scenario(play)


def test_a_flapping_server_changes_the_table_as_often_as_rise_and_fall_allow() -> None:
    """Up and down each second, it is never three times down or twice up in a row."""

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2))
        director.bench.ipvs.told.clear()
        for second in range(60):
            director.servers.tunnel[rip(2)] = REFUSED if second % 2 else BROKEN
            if second % 2:
                del director.servers.tunnel[rip(2)]
            await asyncio.sleep(1)
        changes = [op for op in director.bench.ipvs.told if "192.0.2.12:80" in str(op)]
        # Each change takes at least rise or fall probes, a fast interval apart.
        assert len(changes) <= 60 / min(TUNNEL.rise, TUNNEL.fall)

    scenario(play)


def test_a_server_that_rises_starts_slowly() -> None:
    """Each step when it is due, without anything else that wakes the director."""

    async def play(director: Director) -> None:
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
            await asyncio.sleep(10)
        assert {1: 100, 2: 100} == director.bench.weights()

    scenario(play)


def test_a_lost_quorum_withdraws_the_vip() -> None:
    """Until enough are healthy again; probes go on without it."""

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2, quorum=Quorum(2)))
        assert {VIP} == director.bench.local_vips()
        director.servers.tunnel[rip(2)] = REFUSED
        await asyncio.sleep(DETECTED_S)
        assert set() == director.bench.local_vips()
        assert EventKind.QUORUM_LOST in seen(director)
        director.servers.tunnel.clear()
        await asyncio.sleep(RISEN_S)
        assert {VIP} == director.bench.local_vips()
        assert EventKind.QUORUM_BACK in seen(director)

    scenario(play)


def test_a_moved_service_serves_on_until_its_new_place_has_passed() -> None:
    """The new VIP is checked first: no moment has neither."""

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2))
        await director.daemon.writer.write(PutObject(WEB_ID, web(OTHER_VIP)), by="test")
        for _ in range(100):
            await asyncio.sleep(0.05)
            table = director.bench.ipvs.snapshot()
            serves = [
                key
                for key, service in table.items()
                if not isinstance(key, FwmarkKey) and service.destinations
            ]
            assert serves
        assert [replace(WEB_KEY, vip=OTHER_VIP)] == serves

    scenario(play)


def test_what_is_adopted_is_not_taken_out() -> None:
    """A director that lost its state comes to a farm that serves."""
    director = Director()

    async def before() -> None:
        async with running(director):
            await serving(director, checked(1, 2))

    async def after() -> None:
        director.bench.local.release(list(director.bench.local.claims()))
        director.bench.local.keep_verdicts(dict.fromkeys(director.bench.local.verdicts()))
        director.restart(forgetful=True)
        async with running(director):
            farm = Farm({"web": web()}, {"web": checked(1, 2)})
            await director.daemon.writer.write(PutFarm(farm), by="test")
            await asyncio.sleep(1)
            await director.daemon.adopt(None, force=False, by="test")
            for _ in range(100):
                await asyncio.sleep(0.05)
                assert {1: 100, 2: 100} == director.bench.weights()

    virtual_time.run(before())
    virtual_time.run(after())


def test_verdicts_that_nobody_asks_for_are_forgotten() -> None:
    """With their server, their service, or their pool's checks."""

    async def play(director: Director) -> None:
        await serving(director, checked(1, 2))
        await director.daemon.writer.write(PutObject(POOL_ID, checked(1)), by="test")
        await asyncio.sleep(1)
        assert {"rs1"} == {probe.target.server for probe in director.bench.local.verdicts()}
        await director.daemon.writer.write(DeleteObject(WEB_ID), by="test")
        await asyncio.sleep(1)
        assert {} == director.bench.local.verdicts()
        await director.daemon.writer.write(PutObject(WEB_ID, web()), by="test")
        await asyncio.sleep(3)
        assert {1: 100} == director.bench.weights()
        await director.daemon.writer.write(PutObject(POOL_ID, pool(1)), by="test")
        await asyncio.sleep(1)
        assert {} == director.bench.local.verdicts()
        asked = len(director.servers.asked)
        await asyncio.sleep(30)
        assert asked == len(director.servers.asked)

    scenario(play)
