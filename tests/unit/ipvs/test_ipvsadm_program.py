"""What IpvsadmIpvs makes of a program that fails: scripts that print what ipvsadm 1.31 printed."""

import errno
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lvsctl.errors import KernelError, KernelLacks, MalformedMessage
from lvsctl.ipvs.ipvsadm import IpvsadmIpvs
from lvsctl.ipvs.table import AddressKey, DeleteService
from lvsctl.net import IpProtocol
from lvsctl.results import Failed, Unknown

TIMEOUTS = "Timeout (tcp tcpfin udp): 900 120 300"
DELETE = DeleteService(AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80))
Program = Callable[[str], IpvsadmIpvs]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Put a shell script in the place of ipvsadm, which answers for the timeouts at first."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def become(script: str) -> IpvsadmIpvs:
        path = tmp_path / "ipvsadm"
        path.write_text(f"#!/bin/sh\necho '{TIMEOUTS}'\n")
        path.chmod(0o755)
        ipvs = IpvsadmIpvs()
        path.write_text(f"#!/bin/sh\n{script}\n")
        return ipvs

    return become


UNINITIALISED = """
echo "Can't initialize ipvs: {}
Are you sure that IP Virtual Server is built in the kernel or as module?" >&2
exit 2
"""


@pytest.mark.parametrize(
    ("reason", "cure"),
    [
        ("Protocol not available", "modprobe ip_vs"),
        ("Permission denied (you must be root)", "CAP_NET_ADMIN"),
    ],
)
def test_what_the_kernel_lacks_is_named(program: Program, reason: str, cure: str) -> None:
    """At any time, as a module may be unloaded under a running director."""
    ipvs = program(UNINITIALISED.format(reason))
    with pytest.raises(KernelLacks, match=cure):
        ipvs.snapshot()
    with pytest.raises(KernelLacks, match=cure):
        ipvs.apply([DELETE])


def test_a_listing_that_fails_is_never_an_empty_table(program: Program) -> None:
    """Its words and its status are in the error."""
    ipvs = program("echo Memory allocation problem >&2; exit 1")
    with pytest.raises(KernelError, match=r"`ipvsadm -Sn` failed \(1\): Memory allocation"):
        ipvs.snapshot()


def test_a_listing_that_is_not_understood_is_never_an_empty_table(program: Program) -> None:
    """A newer ipvsadm may print another format."""
    with pytest.raises(MalformedMessage):
        program("echo '{\"services\": []}'").snapshot()


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("No such service", errno.ESRCH),
        ("Memory allocation problem", errno.ENOMEM),
        ("Numerical result out of range", errno.ERANGE),
        ("Device or resource busy", errno.EBUSY),
        (
            "Invalid operation.  Possibly wrong module version, address not unicast, ...",
            errno.EINVAL,
        ),
    ],
)
def test_words_become_the_kernels_error_number(program: Program, words: str, number: int) -> None:
    """Those of ipvsadm, and those of the C library for what it has no words for."""
    ipvs = program(f"echo '{words}' >&2; exit 255")
    assert [Failed(number)] == list(ipvs.apply([DELETE]))


def test_words_that_are_not_known_are_handed_on(program: Program) -> None:
    """With EINVAL, as ipvsadm itself refused."""
    ipvs = program("echo 'illegal weight specified' >&2; exit 2")
    assert [Failed(errno.EINVAL, "illegal weight specified")] == list(ipvs.apply([DELETE]))


def test_a_program_that_is_killed_leaves_its_operation_unknown(program: Program) -> None:
    """It may have sent its message before."""
    assert list(program("kill -9 $$").apply([DELETE])) == [Unknown("ipvsadm was ended by signal 9")]
