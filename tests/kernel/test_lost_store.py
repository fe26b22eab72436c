"""The director's files are lost, damaged or old, under load: no request fails."""

import re
import shutil
from pathlib import Path

import pytest

from deploy.lab.daemons import FarmDaemons
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.network import Network
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from tests.kernel.farms import OTHER_VIP, SERVERS, VIP, service, start
from tests.kernel.test_director_restarts import BY_THE_TIMER_S
from tests.kernel.test_farm_changes import has_address, lines, saved

DRIFT = ["ipvsadm", "-E", "-t", f"{VIP}:80", "-s", "lc"]


def kill(daemons: FarmDaemons) -> None:
    """End the director as a power cut would."""
    assert daemons.director is not None
    daemons.director.kill()


def remove(daemons: FarmDaemons, name: str) -> None:
    """Delete a file of the director with what belongs to it."""
    for path in daemons.director_state.glob(f"{name}*"):
        path.unlink()


def farm_problem(daemons: FarmDaemons) -> str:
    """Return why the director does not follow its store."""
    problems = {p["name"]: p["detail"] for p in daemons.api.get("/v1/problems")["problems"]}  # type: ignore[attr-defined]
    return str(problems.get("farm", ""))


def code(daemons: FarmDaemons) -> str:
    """Return what names the store in the alarm."""
    found = re.search(r"--restore-farm ([0-9a-f]+-[0-9]+-[0-9a-f]+)", farm_problem(daemons))
    assert found
    return found[1]


def mends_drift(built: Network, wanted: list[str]) -> None:
    """Change the table by hand and wait until the director has put it right."""
    assert wanted == lines(saved(built))
    built["lb1"].run(DRIFT)  # a director that looks just now may mend it before anyone sees it
    poll(lambda: lines(saved(built)), BY_THE_TIMER_S, until=lambda now: now == wanted)


def serves(built: Network) -> bool:
    """Say whether the VIP is on the director and on every real server."""
    return all(has_address(built, name, VIP) for name in (*SERVERS, "lb1"))


@pytest.mark.timeout(300)
def test_a_lost_store_is_restored_from_what_was_applied(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Nothing is deleted, drift is put right, a write is refused; then all is as it was."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    wanted = lines(saved(built))
    assert wanted
    with Load(built["c1"], VIP, per_s=50, timeout_s=10) as load:
        poll(lambda: len(load.so_far()) > 50, 30)
        kill(daemons)
        remove(daemons, "farm.db")
        daemons.start_director(ready=False)
        mends_drift(built, wanted)
        assert "new and empty" in farm_problem(daemons)
        refused = daemons.api.ask("PUT", "/v1/farm?force=true", {"services": [], "pools": []})
        assert 503 == refused.status_code
        assert serves(built)

        named = code(daemons)
        kill(daemons)
        daemons.start_director(restore_farm=named)
        assert "" == farm_problem(daemons)
        mends_drift(built, wanted)
        assert serves(built)
        answers = load.stop()

    assert [] == [answer for answer in answers if answer.error]
    # It is a farm as ever: agents follow it, and what it removes goes.
    daemons.api.put("/v1/farm?force=true", {"services": [], "pools": [{"name": "web"}]})
    poll(lambda: saved(built) == "", BY_THE_TIMER_S)
    poll(lambda: not any(has_address(built, s, VIP) for s in SERVERS), BY_THE_TIMER_S)


@pytest.mark.timeout(300)
def test_an_older_store_is_followed_only_when_it_is_accepted(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """A service that the copy does not have serves on until then, and so does it all after."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    before = lines(saved(built))
    copy = tmp_path / "copy"
    with Load(built["c1"], VIP, per_s=50, timeout_s=10) as load:
        assert daemons.director is not None
        assert 0 == daemons.director.stop()
        copy.mkdir()
        for path in daemons.director_state.glob("farm.db*"):
            shutil.copy(path, copy)
        daemons.start_director()
        daemons.api.put("/v1/services/later", service("later", vip=OTHER_VIP))
        daemons.wait_until_served_by("later", SERVERS)
        with_both = lines(saved(built))
        assert 0 == daemons.director.stop()

        remove(daemons, "farm.db")
        for path in copy.iterdir():
            shutil.copy(path, daemons.director_state)
        daemons.start_director(ready=False)
        mends_drift(built, with_both)
        assert "gone back to an older state" in farm_problem(daemons)
        assert "which removes later" in farm_problem(daemons)
        assert serves(built)
        named = code(daemons)

        # Both files damaged at once: nothing is known, and nothing is done.
        kill(daemons)
        aside = tmp_path / "aside"
        shutil.copytree(daemons.director_state, aside, ignore=shutil.ignore_patterns("*.sock"))
        for name in ("farm.db", "local.db"):
            daemons.director_state.joinpath(name).write_bytes(b"garbage")
        daemons.start_director(ready=False)
        built["lb1"].run(["ipvsadm", "-E", "-t", f"{OTHER_VIP}:80", "-s", "lc"])
        poll(lambda: "only observes" in farm_problem(daemons), BY_THE_TIMER_S)
        untouched = lines(saved(built))
        assert "only observes" in str(daemons.api.get("/v1/mode"))
        assert with_both != untouched
        assert len(with_both) == len(untouched)
        assert serves(built)
        kill(daemons)
        shutil.rmtree(daemons.director_state)
        shutil.copytree(aside, daemons.director_state)

        daemons.start_director(accept_new_farm=named)
        poll(lambda: lines(saved(built)), BY_THE_TIMER_S, until=lambda now: now == before)
        poll(lambda: not has_address(built, "rs1", OTHER_VIP), BY_THE_TIMER_S)
        assert serves(built)
        answers = load.stop()

    assert [] == [answer for answer in answers if answer.error]
