"""README.md's own commands install lvsctl on Debian 12, as they are written."""

import re
from collections.abc import Iterator, Sequence

import pytest

from deploy.packages.source import CHECKOUT, version
from deploy.packages.wheels import NATIVE, PURE, fetch
from tests.support.machine import Boot, Machine

OFFLINE = "export PIP_NO_INDEX=1 PIP_FIND_LINKS='/wheels/director /wheels/build'"
"""A machine has no network; pip finds the locked wheels instead."""
MAKE_TOKEN = "head -c 32 /dev/urandom | sha256sum | cut -c -64 >token"  # noqa: S105
"""The copy of the director's token that an administrator brings to a real server."""


def commands(heading: str) -> Sequence[str]:
    """Return the blocks of commands below a heading."""
    text = (CHECKOUT / "README.md").read_text()
    section = re.split(r"(?m)^#+ ", text.split(f"\n### {heading}\n", 1)[1], maxsplit=1)[0]
    blocks = re.findall(r"(?ms)^```\n(.*?)^```$", section)
    assert blocks
    return blocks


@pytest.fixture
def machine(boot: Boot) -> Iterator[Machine]:
    """A machine with the wheels that pip would download."""
    wheels = {
        fetch("director", NATIVE): "/wheels/director",
        fetch("build", PURE): "/wheels/build",
    }
    with boot(wheels) as machine:
        yield machine


def active(machine: Machine, unit: str) -> bool:
    """Tell whether a service runs."""
    return machine.run("systemctl", "is-active", unit).stdout == "active\n"


def test_a_director_from_its_package(machine: Machine) -> None:
    """Up to `lvsctl status`."""
    output = machine.shell(*commands("The director"), directory="/packages")
    assert "the director writes to the kernel" in output
    assert active(machine, "lvsctl-director")
    assert "ipvsadm" in machine.output("dpkg-query", "--show", "ipvsadm")


def test_an_agent_from_its_package(machine: Machine) -> None:
    """Up to `lvsctl agent status`."""
    before, *then = commands("Each real server")
    machine.shell("mkdir /srv/copy; cp /packages/*.deb /srv/copy")
    output = machine.shell(MAKE_TOKEN, before, *then, directory="/srv/copy")
    assert "192.0.2.11" in output
    assert active(machine, "lvsctl-agent")


def test_an_agent_in_a_single_file(machine: Machine) -> None:
    """With the unit and the user of the checkout."""
    single, _, around = commands("Other systems")
    _check_out(machine)
    _, *then = _lines(commands("Each real server"))
    machine.shell("cd /srv/lvsctl", "cp -r /packages dist", single, around)
    output = machine.shell(MAKE_TOKEN, *then, directory="/root")
    assert "192.0.2.11" in output
    assert active(machine, "lvsctl-agent")
    assert f"lvsctl, version {version()}" == machine.output("lvsctl", "--version")


def test_an_agent_by_pip(machine: Machine) -> None:
    """In a virtual environment; Debian refuses anything else."""
    _, pip, around = commands("Other systems")
    _check_out(machine)
    _, *then = _lines(commands("Each real server"))
    machine.shell(OFFLINE, "cd /srv/lvsctl", pip, around)
    output = machine.shell(MAKE_TOKEN, *then, directory="/root")
    assert "192.0.2.11" in output
    assert active(machine, "lvsctl-agent")


def test_a_director_by_pip(machine: Machine) -> None:
    """With what README.md says to replace for a director."""
    _, pip, around = commands("Other systems")
    _check_out(machine)
    pip = pip.replace("install .", "install '.[director]'")
    around = around.replace("lvsctl-agent", "lvsctl-director").replace(
        "agent.toml", "director.toml"
    )
    _, *then = _lines(commands("The director"))
    machine.shell(OFFLINE, "cd /srv/lvsctl", pip, around)
    assert "the director writes to the kernel" in machine.shell(*then)
    assert active(machine, "lvsctl-director")


def _check_out(machine: Machine) -> None:
    """Lay what is committed, or is about to be, as a checkout at /srv/lvsctl."""
    machine.shell(
        "mkdir /srv/lvsctl; cd /checkout; cp -r Makefile *.md LICENSE pyproject.toml \
        lvsctl api deploy /srv/lvsctl"
    )


def _lines(blocks: Sequence[str]) -> Sequence[str]:
    return [line for block in blocks for line in block.splitlines()]
