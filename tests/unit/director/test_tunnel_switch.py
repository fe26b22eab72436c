"""A live pool gets another tunnel: each server by itself, the old one kept for a while."""

import asyncio
from dataclasses import replace

import pytest

from lvsctl.director.loop import TIMER_S
from lvsctl.director.reconcile.tunnel_use import LINGER_S
from lvsctl.director.write.edits import PutFarm, PutObject
from lvsctl.farm.members import members, server_state
from lvsctl.farm.model import Farm, Pool, PoolTunnel
from lvsctl.ipvs.table import (
    DestinationConfig,
    DestinationKey,
    EditDestination,
    Encapsulation,
    TunnelFlag,
    TunnelType,
)
from lvsctl.messages.model import Assignment, Registration, Report, Tunnel
from lvsctl.store.interface import Mode, ModeName
from tests.support.reasons import codes
from tests.unit import virtual_time
from tests.unit.director.farms import POOL_ID, VIP, WEB_KEY, pool, rip, web
from tests.unit.director.test_daemon import Director

IPIP, GUE = Tunnel("ipip"), Tunnel("gue", 6080)
OVER_GUE = PoolTunnel(TunnelType.GUE, 6080, mtu=1400)


@pytest.fixture
def director() -> Director:
    return Director()


def farm(of: Pool) -> Farm:
    return Farm({"web": web()}, {"web": of})


def tunnels(director: Director) -> dict[int, str]:
    """Return what the kernel wraps packets in, for each real server by its number."""
    service = director.bench.ipvs.snapshot()[WEB_KEY]
    return {
        int(key.address) - int(rip(0)): str(config.encapsulation)
        for key, config in service.destinations.items()
    }


async def assignment(director: Director, number: int) -> Assignment:
    """Return what an agent is told, whatever the farm's revision is."""
    found = await director.daemon.agents.assignment(f"rs{number}", None, 0)
    assert found is not None
    return replace(found[1], revision=0)


async def report(director: Director, number: int, *accepted: Tunnel) -> None:
    """Report what an agent accepts, and let the director act."""
    daemon = director.daemon
    await daemon.agents.report(
        f"rs{number}", Report(daemon.state.farm_id, (VIP,), accepted), by="test"
    )
    await asyncio.sleep(0)


async def serving_over_ipip(director: Director, *agents: int, declared: int = 0) -> None:
    """Make the farm with agents that serve and servers that have none; the loop runs."""
    daemon = director.daemon
    await daemon.writer.write(PutFarm(farm(pool(*range(1, declared + 1)))), by="test")
    for number in agents:
        await daemon.agents.register(f"rs{number}", Registration(rip(number), ("web",)), by="test")
        await report(director, number, IPIP)
    await daemon.loop.run_cycle()


@pytest.mark.parametrize("reported_at_s", [0.0, 1.3, 4.999])
def test_each_server_changes_when_its_agent_reports(
    director: Director, reported_at_s: float
) -> None:
    """A server without an agent at once; one whose agent is silent keeps the old, pending.

    Agents accept both meanwhile, and the old one for 10 to 15 s after the kernel used it last.
    """

    async def scenario() -> None:
        loop, daemon = asyncio.get_running_loop(), director.daemon
        await serving_over_ipip(director, 2, 3, 4, declared=1)
        running = asyncio.create_task(daemon.run())
        await asyncio.sleep(20)
        assert dict.fromkeys((1, 2, 3, 4), "ipip") == tunnels(director)

        await daemon.writer.write(PutObject(POOL_ID, replace(pool(1), tunnel=OVER_GUE)), by="test")
        await asyncio.sleep(reported_at_s)
        assert {1: "gue:6080", 2: "ipip", 3: "ipip", 4: "ipip"} == tunnels(director)
        both = Assignment(daemon.state.farm_id, "rs2", (VIP,), (GUE, IPIP), 1400, epoch=1)
        assert both == await assignment(director, 2)

        await report(director, 2, GUE, IPIP)
        await asyncio.sleep(0.001)
        switched_at = loop.time()
        assert {1: "gue:6080", 2: "gue:6080", 3: "ipip", 4: "ipip"} == tunnels(director)
        etag, _ = await daemon.agents.assignment("rs2", None, 0) or ("", None)
        assert both == await assignment(director, 2)

        changed = await daemon.agents.assignment("rs2", etag, 25)
        assert changed is not None
        assert (GUE,) == changed[1].tunnels
        assert LINGER_S - 0.01 <= loop.time() - switched_at <= LINGER_S + TIMER_S

        await report(director, 3, GUE, IPIP)
        await asyncio.sleep(60)
        assert {1: "gue:6080", 2: "gue:6080", 3: "gue:6080", 4: "ipip"} == tunnels(director)
        assert (GUE, IPIP) == (await assignment(director, 4)).tunnels
        silent = members(daemon.state.farm.pools["web"], daemon.state.status)[-1]
        decision = server_state(silent, VIP, daemon.state.status)
        assert (100, True) == (decision.weight, decision.pending)
        assert ["tunnel-pending"] == codes(decision.reasons)
        running.cancel()

    virtual_time.run(scenario())


def test_a_kernel_that_still_uses_the_old_tunnel_keeps_it_with_the_agents(
    director: Director,
) -> None:
    """Also when the director only observes, for as long as it does, and after a restart."""

    async def scenario() -> None:
        daemon = director.daemon
        await serving_over_ipip(director, 2)
        await daemon.set_mode(Mode(ModeName.OBSERVE))
        running = asyncio.create_task(daemon.run())
        await daemon.writer.write(PutObject(POOL_ID, replace(pool(), tunnel=OVER_GUE)), by="test")
        await report(director, 2, GUE, IPIP)
        await asyncio.sleep(60)
        assert {2: "ipip"} == tunnels(director)
        assert (GUE, IPIP) == (await assignment(director, 2)).tunnels
        running.cancel()

        director.restart()
        await director.daemon.loop.run_cycle()
        assert (GUE, IPIP) == (await assignment(director, 2)).tunnels

    virtual_time.run(scenario())


def test_a_look_at_another_service_forgets_nothing(director: Director) -> None:
    """Only a look at everything can tell that an encapsulation is used no more."""

    async def scenario() -> None:
        daemon = director.daemon
        await serving_over_ipip(director, 2)
        await daemon.writer.write(PutObject(POOL_ID, replace(pool(), tunnel=OVER_GUE)), by="test")
        await report(director, 2, GUE, IPIP)
        await daemon.loop.run_cycle()
        await asyncio.sleep(60)
        daemon.loop.wake(frozenset())
        await daemon.loop.run_cycle()
        assert (GUE, IPIP) == (await assignment(director, 2)).tunnels
        daemon.loop.wake(None)
        await daemon.loop.run_cycle()
        assert (GUE,) == (await assignment(director, 2)).tunnels

    virtual_time.run(scenario())


def test_a_pool_that_goes_back_at_once_has_lost_nothing(director: Director) -> None:
    """ipip, gue, ipip before any agent said a word: they serve over ipip all the time."""

    async def scenario() -> None:
        daemon = director.daemon
        await serving_over_ipip(director, 2)
        for tunnel in (OVER_GUE, PoolTunnel(TunnelType.GRE), PoolTunnel()):
            await daemon.writer.write(PutObject(POOL_ID, replace(pool(), tunnel=tunnel)), by="test")
            await daemon.loop.run_cycle()
            assert {2: "ipip"} == tunnels(director)
        (member,) = members(daemon.state.farm.pools["web"], daemon.state.status)
        assert not server_state(member, VIP, daemon.state.status).pending

    virtual_time.run(scenario())


def test_another_port_or_checksum_is_another_tunnel(director: Director) -> None:
    """An agent that opened gue:6080 does not accept gue:6081."""

    async def scenario() -> None:
        daemon = director.daemon
        await serving_over_ipip(director, 2)
        tunnel = PoolTunnel(TunnelType.GUE, 6081, checksum=True)
        await daemon.writer.write(PutObject(POOL_ID, replace(pool(), tunnel=tunnel)), by="test")
        for accepted in (
            Tunnel("gue", 6080, checksum=True),
            Tunnel("gue", 6081),
            Tunnel("gre", 0, checksum=True),
        ):
            await report(director, 2, accepted)
            await daemon.loop.run_cycle()
            assert {2: "ipip"} == tunnels(director)
        await report(director, 2, Tunnel("gue", 6081, checksum=True))
        await daemon.loop.run_cycle()
        assert {2: "gue:6081+checksum"} == tunnels(director)

    virtual_time.run(scenario())


def test_an_agent_gets_the_tunnels_of_all_its_pools_and_the_smallest_mtu(
    director: Director,
) -> None:
    """Each VIP by itself; a server's own tunnel replaces its pool's."""

    async def scenario() -> None:
        daemon = director.daemon
        own = PoolTunnel(TunnelType.GRE, checksum=True, mtu=1400)
        (server,) = pool(2).real_servers
        blue = replace(pool(), tunnel=OVER_GUE, real_servers=(replace(server, tunnel=own),))
        green = Pool("green", PoolTunnel(TunnelType.GUE, 6081, mtu=1380))
        both = Farm({"web": web()}, {"web": blue, "green": green})
        await daemon.writer.write(PutFarm(both), by="test")
        await daemon.agents.register("rs2", Registration(rip(2), ("web", "green")), by="test")
        await daemon.loop.run_cycle()
        found = await assignment(director, 2)
        assert (Tunnel("gre", 0, checksum=True), Tunnel("gue", 6081)) == found.tunnels
        assert 1380 == found.mtu

    virtual_time.run(scenario())


def test_adopting_keeps_the_tunnel_that_serves(director: Director) -> None:
    """What somebody set up over gre serves over gre until the agent reports the farm's tunnel."""

    async def scenario() -> None:
        daemon = director.daemon
        await serving_over_ipip(director, 2)
        gre = Encapsulation(TunnelType.GRE, 0, TunnelFlag.CHECKSUM)
        config = DestinationConfig(100, encapsulation=gre)
        director.bench.ipvs.apply([EditDestination(WEB_KEY, DestinationKey(rip(2), 80), config)])
        director.bench.local.release([WEB_KEY])
        director.restart(forgetful=True)
        daemon = director.daemon
        await daemon.writer.write(PutFarm(farm(pool())), by="test")
        await daemon.agents.register("rs2", Registration(rip(2), ("web",)), by="test")

        await daemon.adopt(None, force=False, by="test")
        await daemon.loop.run_cycle()
        assert {2: "gre+checksum"} == tunnels(director)

        await report(director, 2, IPIP, Tunnel("gre", 0, checksum=True))
        await daemon.loop.run_cycle()
        assert {2: "ipip"} == tunnels(director)

    virtual_time.run(scenario())
