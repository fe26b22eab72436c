"""The units as a package installs them: sound, little exposed, and never giving up."""

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

FOLDER = Path("deploy/systemd").resolve()
SERVICES = sorted(FOLDER.glob("*.service"))
DAEMONS = [FOLDER / "lvsctl-director.service", FOLDER / "lvsctl-agent.service"]
MAX_EXPOSURE = 25
"""Tenths, as `systemd-analyze security` counts them."""


def settings(unit: Path) -> Mapping[str, Sequence[str]]:
    """Return what a unit sets, whatever the section."""
    found = defaultdict(list)
    for line in unit.read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found[name].append(value)
    return found


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze."""
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_unit_is_looked_at() -> None:
    """The folder is where they are."""
    assert set(DAEMONS) <= set(SERVICES)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_it_is_little_exposed(unit: Path) -> None:
    """As far as systemd can tell from the unit."""
    done = analyze("security", "--offline=yes", f"--threshold={MAX_EXPOSURE}", str(unit))
    assert 0 == done.returncode, done.stdout + done.stderr


def test_systemd_can_read_all_of_them(tmp_path: Path) -> None:
    """Each directive is known, and has a value that it can have."""
    for unit in sorted([*FOLDER.glob("*.service"), *FOLDER.glob("*.socket")]):
        text = unit.read_text().replace("/usr/local/bin/lvsctl ", f"{sys.executable} ")
        (tmp_path / unit.name).write_text(
            text.replace("/usr/local/bin/lvsctl-exec", sys.executable)
        )
    done = analyze("verify", "--man=no", *map(str, sorted(tmp_path.iterdir())))
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("unit", DAEMONS, ids=lambda unit: unit.name)
def test_a_daemon_is_watched_and_restarted_for_ever(unit: Path) -> None:
    """Restarting costs nothing, and there is no attempt after which systemd gives up."""
    found = settings(unit)
    assert (["notify"], ["always"], ["0"]) == (
        found["Type"],
        found["Restart"],
        found["StartLimitIntervalSec"],
    )
    assert found["WatchdogSec"]
    assert found["LimitNOFILE"]


@pytest.mark.parametrize("unit", DAEMONS, ids=lambda unit: unit.name)
def test_a_daemon_has_two_capabilities_and_a_user_of_its_own(unit: Path) -> None:
    """Those that tests/kernel/test_unprivileged.py runs it with."""
    found = settings(unit)
    needed = ["CAP_NET_ADMIN CAP_NET_RAW"]
    assert (needed, needed) == (found["AmbientCapabilities"], found["CapabilityBoundingSet"])
    sysusers = FOLDER / "sysusers.d" / unit.with_suffix(".conf").name
    assert f"u {found['User'][0]} " in sysusers.read_text()


@pytest.mark.parametrize("file", sorted((FOLDER / "sysusers.d").iterdir()), ids=lambda f: f.name)
def test_its_users_can_be_made(file: Path, tmp_path: Path) -> None:
    """By systemd-sysusers, on a host that has none yet."""
    done = subprocess.run(
        ["systemd-sysusers", "--dry-run", f"--root={tmp_path}", "-"],
        input=file.read_text(),
        capture_output=True,
        text=True,
        check=True,
    )
    users = [line.split()[1] for line in file.read_text().splitlines() if line.startswith("u ")]
    assert users
    assert users == re.findall("Creating user '([^']+)'", done.stderr)
