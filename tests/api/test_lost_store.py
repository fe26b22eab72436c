"""A director whose files are lost or damaged, as a process: what people see, and how it ends."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.api.test_director_process import EXAMPLE
from tests.support.director_process import DirectorProcess, director_command, director_process


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of a director that has applied the example farm, and was stopped."""
    with director_process(tmp_path) as director:
        assert 0 == director.lvsctl("apply", "-f", EXAMPLE)[0]
        applied(director)
    return tmp_path


def applied(director: DirectorProcess) -> None:
    """Wait until the director's kernel is as the farm says."""
    farm = httpx.get(f"{director.url}/v1/farm", headers=director.headers).json()
    address = f"{director.url}/v1/farm?wait=10"
    answer = httpx.put(address, json=farm, headers=director.headers, timeout=30)
    assert answer.json()["applied"], answer.text


def remove(state: Path, name: str) -> None:
    for path in state.glob(f"{name}*"):
        path.unlink()


def overwrite(state: Path, name: str) -> None:
    state.joinpath(name).write_bytes(b"garbage")


def checks(director: DirectorProcess) -> dict[str, str]:
    """Return what is not in order, for who has no token."""
    answer = httpx.get(f"{director.url}/readyz")
    found = {each["name"]: each["detail"] for each in answer.json()["checks"] if not each["ok"]}
    assert (503 if found else 200) == answer.status_code
    return found


def code(printed: str) -> str:
    """Return what names the store in what was printed."""
    found = re.search(r"--restore-farm ([0-9a-f]+-[0-9]+-[0-9a-f]+)", printed)
    assert found, printed
    return found[1]


@pytest.mark.parametrize("damage", [remove, overwrite])
def test_a_lost_store_is_an_alarm_and_the_farm_goes_on(
    state: Path, damage: Callable[[Path, str], None]
) -> None:
    """The farm can be read as ever; a write is refused with the reason."""
    damage(state, "farm.db")
    with director_process(state) as director:
        found = checks(director)
        status = director.lvsctl("status")[1]
        refused = director.lvsctl("server", "drain", "rs1")
        assert (0, "nothing to change\n") == director.lvsctl("diff", "-f", EXAMPLE)
    assert ["farm"] == [*found]
    assert "director: farm: " in status
    assert "The director goes on with revision 1 of epoch 1" in status
    assert (1, True) == (refused[0], "refuses writes" in refused[1])


def test_what_was_applied_is_put_back_by_the_command_that_the_message_names(state: Path) -> None:
    """Once: with the flag left in place the next start is one as ever."""
    remove(state, "farm.db")
    with director_process(state) as director:
        flags = ("--restore-farm", code(director.lvsctl("status")[1]))
    for _ in range(2):
        with director_process(state, flags=flags) as director:
            assert {} == checks(director)
            assert (0, "nothing to change\n") == director.lvsctl("diff", "-f", EXAMPLE)
            assert 0 == director.lvsctl("server", "drain", "rs1")[0]
            address = f"{director.url}/v1/events?after=0&follow=false"
            events = httpx.get(address, headers=director.headers).text
            assert 1 == events.count("event: new-epoch")
    remove(state, "farm.db")
    with director_process(state, flags=flags) as director:
        assert ["farm"] == [*checks(director)]


def test_an_older_copy_is_not_followed_until_it_is_accepted(state: Path) -> None:
    """The message names what goes with it."""
    older = state.joinpath("farm.db").read_bytes()
    with director_process(state) as director:
        assert 0 == director.lvsctl("server", "drain", "rs1")[0]
        applied(director)
    remove(state, "farm.db")
    state.joinpath("farm.db").write_bytes(older)
    with director_process(state) as director:
        assert "gone back to an older state" in checks(director)["farm"]
        assert "draining" in director.lvsctl("server", "list")[1]
        named = code(director.lvsctl("status")[1])
    with director_process(state, flags=("--accept-new-farm", named)) as director:
        assert {} == checks(director)
        assert "draining" not in director.lvsctl("server", "list")[1]


def test_a_damaged_local_state_leaves_the_kernel_alone(state: Path) -> None:
    """The director observes and says why; it cannot be talked out of it."""
    overwrite(state, "local.db")
    with director_process(state) as director:
        assert ["local-state"] == [*checks(director)]
        assert "only observes" in director.lvsctl("status")[1]
        resumed = director.lvsctl("resume")
    assert (1, True) == (resumed[0], "local.db" in resumed[1])


def test_with_both_damaged_nothing_is_known_and_nothing_done(state: Path) -> None:
    """It answers, and observes."""
    overwrite(state, "local.db")
    overwrite(state, "farm.db")
    with director_process(state) as director:
        assert {"farm", "local-state"} == checks(director).keys()
        assert (0, True) == ((done := director.lvsctl("status"))[0], "only observes" in done[1])


def test_only_one_decision_can_be_taken(tmp_path: Path) -> None:
    """To restore and to accept exclude each other."""
    flags = ("--restore-farm", "a-1-b", "--accept-new-farm", "a-1-b")
    command = [*director_command(tmp_path), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (1, True) == (done.returncode, "exclude each other" in done.stderr)
