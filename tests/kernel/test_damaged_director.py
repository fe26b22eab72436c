"""A director on damaged files, over netlink and under load: no request fails.

The rest of the table is in tests/unit/director/test_damaged_files.py.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deploy.lab.daemons import FarmDaemons
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.network import Network
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from tests.kernel.farms import SERVERS, VIP, start
from tests.kernel.test_director_restarts import BY_THE_TIMER_S
from tests.kernel.test_farm_changes import has_address, lines, saved
from tests.support.damage import CONTENT, SPECIAL, Damage, missing
from tests.support.database_damage import OF_ANOTHER_FORMAT, ON_DISK, ON_JOURNAL, sql

DAMAGES: tuple[tuple[str, Damage], ...] = (
    ("farm.db", CONTENT["garbage"]),
    ("farm.db", ON_DISK["64 zeros in the header"]),
    ("farm.db", OF_ANOTHER_FORMAT["of a newer version"]),
    ("farm.db", SPECIAL["a pipe"]),
    ("farm.db", sql("DELETE FROM live WHERE kind = 'service'")),
    ("farm.db-wal", missing),
    ("farm.db-wal", ON_JOURNAL["64 zeros in the header"]),
    ("local.db", CONTENT["garbage"]),
    ("local.db", CONTENT["truncated"]),
    ("local.db-wal", missing),
    ("local.db", sql("DELETE FROM applied WHERE kind = 'service'")),
    ("events.db", CONTENT["garbage"]),
)
DISK_BYTES = 48 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def complaints(daemons: FarmDaemons) -> list[Any]:
    """Return what the director says is wrong, once it has compared its kernel."""
    checks: Any = daemons.api.ask("GET", "/readyz").json()["checks"]
    if not next(check["ok"] for check in checks if check["name"] == "cycle"):
        return []
    problems: Any = daemons.api.get("/v1/problems")["problems"]
    plan: Any = daemons.api.get("/v1/plan")
    return [*(each for each in problems if each["name"] != "access"), *plan["conflicts"]]


def serves(built: Network) -> bool:
    """Say whether the VIP is on the director and on every real server."""
    return all(has_address(built, name, VIP) for name in (*SERVERS, "lb1"))


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.tell() < 2 * DISK_BYTES:
            file.write(b"x" * 4096)


@pytest.mark.timeout(300)
def test_no_damaged_file_of_the_director_costs_a_request(
    network: BuildNetwork, tmp_path: Path, disk: Path
) -> None:
    """Killed, damaged and started again, many times and at last on a full disk, it says so."""
    built = network(farm_topology())
    daemons = start(built, disk)
    state, left = daemons.director_state, tmp_path / "left"
    before = lines(saved(built))
    with Load(built["c1"], VIP, per_s=50, timeout_s=10) as load:
        poll(lambda: len(load.so_far()) > 50, 30)
        shutil.copytree(state, left, ignore=shutil.ignore_patterns("*.sock"))
        for name, damage in DAMAGES:
            assert daemons.director is not None
            daemons.director.kill()
            shutil.rmtree(state)
            shutil.copytree(left, state)
            damage(state / name)
            daemons.start_director(ready=False)
            assert poll(lambda: complaints(daemons), BY_THE_TIMER_S), name
            assert before == lines(saved(built)), name
            assert serves(built), name

        daemons.director.kill()
        shutil.rmtree(state)
        shutil.copytree(left, state)
        fill(disk / "ballast")
        daemons.start_director(ready=False)
        poll(lambda: "disk" in str(complaints(daemons)), BY_THE_TIMER_S)
        assert before == lines(saved(built))
        assert serves(built)
        answers = load.stop()

    assert [] == [answer for answer in answers if answer.error]
