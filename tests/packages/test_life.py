"""A package's life on a machine: installed, configured, upgraded, removed, purged."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from deploy.packages.debian import AGENT, DIRECTOR, Package
from deploy.packages.source import version
from tests.support.machine import Boot, Machine

OLDER = "0.0.1"
GONE = "usr/lib/{name}/lib/python3.11/site-packages/lvsctl/only_in_an_older_version.py"
LISTING = """
find / -xdev \\( -path /packages -o -path /checkout -o -path /proc -o -path /sys -o -path /dev \\
    -o -path /run -o -path /tmp -o -path /var/tmp -o -path /var/log \\) -prune \\
    -o -printf '%y %m %u:%g %p %l\\n'
cat /etc/passwd /etc/group /etc/shadow /etc/gshadow
"""
MAKE_TOKEN = "(umask 077; head -c 32 /dev/urandom | sha256sum | cut -c -64 >/etc/lvsctl/token)"  # noqa: S105


@pytest.fixture(scope="module")
def older(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packages of an older version, each with a file that there is no more."""
    folder = tmp_path_factory.mktemp("older")
    for package in (AGENT, DIRECTOR):
        tree = folder / package.name
        subprocess.run(
            ["dpkg-deb", "--raw-extract", str(dist / package.file_name), str(tree)], check=True
        )
        (tree / GONE.format(name=package.name)).write_text("")
        control = tree / "DEBIAN" / "control"
        fields = control.read_text()
        control.write_text(fields.replace(f"Version: {version()}", f"Version: {OLDER}"))
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z1", "--build", str(tree), str(folder)],
            check=True,
        )
        shutil.rmtree(tree)
    return folder


@pytest.fixture
def machine(boot: Boot, older: Path) -> Iterator[Machine]:
    """A machine that sees the older packages too."""
    with boot({older: "/older"}) as machine:
        yield machine


def install(machine: Machine, *packages: Path | str) -> str:
    """Install packages, of which nothing that they depend on is missing."""
    return machine.output("dpkg", "--install", *map(str, packages))


def files_and_users(machine: Machine) -> AbstractSet[str]:
    """Return every file with its mode and owner, and every line of the users' databases."""
    return frozenset(machine.shell(LISTING).splitlines())


def main_process(machine: Machine, unit: str) -> int:
    """Return a service's process, 0 if it does not run."""
    return int(machine.output("systemctl", "show", "--value", "--property=MainPID", unit))


def state(machine: Machine, units: Sequence[str]) -> Sequence[str]:
    """Tell whether units are active."""
    return machine.run("systemctl", "is-active", *units).stdout.split()


def user_of(machine: Machine, unit: str) -> str:
    """Return the user that a service runs as."""
    return machine.output("ps", "-o", "user:32=", "-p", str(main_process(machine, unit)))


def new(package: Package) -> str:
    """Return where a machine sees a package of this version."""
    return f"/packages/{package.file_name}"


def old(package: Package) -> str:
    """Return where a machine sees a package of the older version."""
    return f"/older/{package.file_name.replace(f'_{version()}_', f'_{OLDER}_')}"


def test_the_agents_package(machine: Machine) -> None:
    """It starts nothing by itself, restarts what runs, and leaves nothing when it is purged."""
    unit = "lvsctl-agent.service"
    before = files_and_users(machine)
    install(machine, old(AGENT))
    assert f"lvsctl, version {version()}" == machine.output("lvsctl", "--version")
    assert "no agent has run" in machine.run("lvsctl", "agent", "status").stdout
    assert "this host is neither" in machine.run("lvsctl", "doctor").stdout
    assert ["inactive"] == state(machine, [unit])

    machine.shell(f"""{MAKE_TOKEN}
        chgrp lvsctl-agent /etc/lvsctl/token; chmod 0640 /etc/lvsctl/token
        echo 'weight = 7' >>/etc/lvsctl/agent.toml
        systemctl enable --now {unit}""")
    assert "weight: 7" not in machine.output("lvsctl", "agent", "status")
    assert "lvsctl-agent" == user_of(machine, unit)
    assert "real-server" in machine.run("lvsctl", "doctor", "-o", "json").stdout
    verified = machine.run("systemd-analyze", "verify", "--man=no", unit)
    assert (0, "") == (verified.returncode, verified.stdout)

    first = main_process(machine, unit)
    install(machine, new(AGENT))
    assert ["active"] == state(machine, [unit])
    assert first != main_process(machine, unit)
    assert machine.run("test", "-e", f"/{GONE.format(name=AGENT.name)}").returncode
    assert "weight = 7" in machine.output("cat", "/etc/lvsctl/agent.toml")

    machine.output("systemctl", "stop", unit)
    install(machine, new(AGENT))
    assert ["inactive"] == state(machine, [unit]), "a service that was stopped stays so"
    machine.output("systemctl", "start", unit)

    machine.output("touch", "/var/lib/lvsctl-agent/assignments.json")
    assert "lvsctl agent leave" in machine.output("dpkg", "--remove", AGENT.name)
    assert ["inactive"] == state(machine, [unit])
    machine.output("test", "-e", "/var/lib/lvsctl-agent/status.json")
    assert "weight = 7" in machine.output("cat", "/etc/lvsctl/agent.toml")
    assert machine.run("test", "-e", "/usr/bin/lvsctl").returncode
    install(machine, new(AGENT))
    assert "lvsctl-agent" == machine.output("stat", "--format=%U", "/var/lib/lvsctl-agent")

    assert "until it is rebooted" in machine.output("dpkg", "--purge", AGENT.name)
    assert set() == before ^ files_and_users(machine)


def test_the_directors_package(machine: Machine) -> None:
    """The same, and its health checks' programs have a user and a socket."""
    units = ["lvsctl-director.service", "lvsctl-exec.socket"]
    before = files_and_users(machine)
    install(machine, old(DIRECTOR))
    assert f"lvsctl, version {version()}" == machine.output("lvsctl", "--version")
    assert ["inactive"] * 2 == state(machine, units)

    machine.shell(f"""{MAKE_TOKEN}
        echo 'exec-socket = "/run/lvsctl-exec.sock"' >>/etc/lvsctl/director.toml
        systemctl enable --now {" ".join(units)}""")
    assert "the director writes to the kernel" in machine.output("lvsctl", "status")
    assert "lvsctl" == user_of(machine, units[0])
    assert "not found" not in machine.output(
        "sh", "-c", "find /usr/lib/lvsctl-director -name '*.so' -exec ldd {} +"
    )

    first = main_process(machine, units[0])
    install(machine, new(DIRECTOR))
    assert ["active"] * 2 == state(machine, units)
    assert first != main_process(machine, units[0])
    assert machine.run("test", "-e", f"/{GONE.format(name=DIRECTOR.name)}").returncode
    assert "the director writes to the kernel" in machine.output("lvsctl", "status")
    machine.output("journalctl", "--sync")
    journal = machine.output("journalctl", "--output=cat", "--priority=6..6", "--unit", units[0])
    assert "director runs name=" in journal
    verified = machine.run("systemd-analyze", "verify", "--man=no", *units, "lvsctl-exec.service")
    assert (0, "") == (verified.returncode, verified.stdout)

    assert "keeps forwarding" in machine.output("dpkg", "--remove", DIRECTOR.name)
    assert ["inactive"] * 2 == state(machine, units)
    machine.output("test", "-e", "/var/lib/lvsctl/farm.db")
    machine.output("test", "-e", "/etc/lvsctl/checks")

    machine.output("dpkg", "--purge", DIRECTOR.name)
    assert set() == before ^ files_and_users(machine)


def test_both_packages_on_one_machine(machine: Machine) -> None:
    """The command is the director's, which can do all; purging one takes nothing of the other."""
    before = files_and_users(machine)
    install(machine, new(AGENT), new(DIRECTOR))
    machine.shell(MAKE_TOKEN)
    command = machine.output("readlink", "--canonicalize", "/usr/bin/lvsctl")
    assert "/usr/lib/lvsctl-director/bin/lvsctl" == command
    machine.output("dpkg", "--purge", AGENT.name)
    machine.output("test", "-e", "/etc/lvsctl/token")
    assert f"lvsctl, version {version()}" == machine.output("lvsctl", "--version")

    install(machine, new(AGENT))
    machine.output("dpkg", "--purge", DIRECTOR.name)
    machine.output("test", "-e", "/etc/lvsctl/token")
    assert f"lvsctl, version {version()}" == machine.output("lvsctl", "--version")

    machine.output("dpkg", "--purge", AGENT.name)
    assert set() == before ^ files_and_users(machine)
