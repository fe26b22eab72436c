"""A director that dies, restarts, or loses its memory, under load."""

import re
import shutil
from pathlib import Path

import pytest

from deploy.lab.daemons import FarmDaemons
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from lvsctl.director.loop import TIMER_S
from tests.kernel.farms import OTHER_VIP, SERVERS, VIP, declared, farm, service, start
from tests.kernel.test_farm_changes import has_address, lines, saved

BY_THE_TIMER_S = 3 * TIMER_S


def restart(daemons: FarmDaemons, **changes: object) -> None:
    """Kill the director and start another one in its place."""
    assert daemons.director is not None
    daemons.director.kill()
    daemons.start_director(**changes)


@pytest.mark.timeout(300)
def test_a_director_killed_under_load_loses_nothing(network: BuildNetwork, tmp_path: Path) -> None:
    """200 connections a second for 20 s, the director killed and started again: no failure.

    When it is back there is nothing to do: it is started observing, so it has written nothing.
    """
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    before = saved(built)

    with Load(built["c1"], VIP, per_s=200, for_s=20, timeout_s=10) as load:
        poll(lambda: len(load.so_far()) > 200, 30)
        assert daemons.director is not None
        daemons.director.kill()
        at_kill = len(load.so_far())
        poll(lambda: len(load.so_far()) > at_kill + 200, 30)
        daemons.start_director(observe=True)
        plan = daemons.api.get("/v1/plan")
        restart(daemons)
        answers = load.finish()

    assert ([], []) == (plan["operations"], plan["conflicts"])
    assert [] == [answer for answer in answers if answer.error]
    assert 4000 == len(answers)
    assert before == saved(built)


def test_a_restart_with_a_changed_farm_writes_only_the_change(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """A change that was stored while observing is all that the next start writes."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    restart(daemons, observe=True)
    daemons.api.patch("/v1/services/web", {"scheduler": "wrr"})
    plan = daemons.api.get("/v1/plan")
    assert [f"edit service tcp {VIP}:80 wrr"] == plan["operations"]
    before = saved(built)

    restart(daemons)

    after = poll(lambda: saved(built), BY_THE_TIMER_S, until=lambda now: now != before)
    assert before.replace("-s rr", "-s wrr") == after


def test_a_lost_state_folder_removes_nothing_and_adopt_heals(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Neither the kernel nor a real server loses anything; after adopt --all there is no drift."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    before = lines(saved(built))

    with Load(built["c1"], VIP, per_s=50, timeout_s=10) as load:
        assert daemons.director is not None
        daemons.director.kill()
        shutil.rmtree(daemons.director_state)
        daemons.start_director()
        poll(lambda: daemons.api.get("/v1/plan")["foreign"], BY_THE_TIMER_S)
        assert before == lines(saved(built))

        daemons.api.put("/v1/farm", farm())
        conflicts = poll(lambda: daemons.api.get("/v1/plan")["conflicts"], BY_THE_TIMER_S)
        assert VIP in str(conflicts)
        # The agents find that nobody knows them, and join again by themselves.
        poll(lambda: agents_ready(daemons), 30, until=lambda ready: ready == set(SERVERS))
        assert before == lines(saved(built))
        assert all(has_address(built, name, VIP) for name in (*SERVERS, "lb1"))

        daemons.api.post("/v1/adopt")
        poll(lambda: is_settled(daemons), BY_THE_TIMER_S)
        answers = load.stop()

    assert [] == [answer for answer in answers if answer.error]
    assert before == lines(saved(built))
    # What was adopted is ours: it can be removed.
    daemons.api.put("/v1/farm?force=true", {"services": [], "pools": [{"name": "web"}]})
    poll(lambda: saved(built) == "", BY_THE_TIMER_S)
    poll(lambda: not any(has_address(built, s, VIP) for s in (*SERVERS, "lb1")), BY_THE_TIMER_S)


def agents_ready(daemons: FarmDaemons) -> set[str]:
    """Return the agents whose last report names the VIP ready."""
    agents = daemons.api.get("/v1/agents")["agents"]
    return {agent["name"] for agent in agents if VIP in str(agent["ready"])}  # type: ignore[attr-defined]


def is_settled(daemons: FarmDaemons) -> bool:
    """Say whether the director has nothing to do and no conflict."""
    plan = daemons.api.get("/v1/plan")
    return not plan["operations"] and not plan["conflicts"] and not plan["foreign"]


def test_the_director_starts_with_its_own_table_and_foreign_services(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """What is ours is adopted silently, what is not stays, what is missing is added."""
    built = network(farm_topology())
    pool = declared(built, SERVERS, dict.fromkeys(SERVERS, 5))
    daemons = start(
        built, tmp_path, farm([service(), service("b", ports=[81])], [pool]), servers=()
    )
    whole = lines(saved(built))
    assert daemons.director is not None
    assert 0 == daemons.director.stop()
    assert whole == lines(saved(built))
    built["lb1"].run(["ipvsadm", "-D", "-t", f"{VIP}:81"])
    built["lb1"].run(["ipvsadm", "-A", "-t", f"{OTHER_VIP}:25", "-s", "rr"])

    daemons.start_director()

    by_hand = f"-A -t {OTHER_VIP}:25 -s rr"
    wanted = sorted([*whole, by_hand])
    poll(lambda: lines(saved(built)), BY_THE_TIMER_S, until=lambda now: now == wanted)


def test_after_a_reboot_the_director_makes_everything_anew(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """A new namespace has an empty kernel and another identity: old claims are void."""
    built = network(farm_topology(real_servers=1))
    pool = declared(built, ["rs1"], {"rs1": 5})
    daemons = start(built, tmp_path, farm(pools=[pool]), servers=())
    before = saved(built)
    assert daemons.director is not None
    daemons.director.kill()
    built.remove()

    rebuilt = network(farm_topology(real_servers=1))
    assert "" == saved(rebuilt)
    daemons = FarmDaemons(rebuilt, tmp_path, token=daemons.token)
    daemons.start_director()

    poll(lambda: saved(rebuilt), BY_THE_TIMER_S, until=lambda now: now == before)
    assert re.search(rf"inet {VIP}/32 .*lvs0", rebuilt["lb1"].run(["ip", "-o", "addr"]).stdout)
