"""IpvsadmIpvs and an ipvsadm that fails: shell scripts that print what ipvsadm 1.31 printed."""

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
    """Replace ipvsadm by a shell script, once the constructor has read the timeouts."""
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
def test_a_missing_module_or_privilege_is_reported(
    program: Program, reason: str, cure: str
) -> None:
    """At any time, as the module may be unloaded under a running director."""
    ipvs = program(UNINITIALISED.format(reason))
    with pytest.raises(KernelLacks, match=cure):
        ipvs.snapshot()
    with pytest.raises(KernelLacks, match=cure):
        ipvs.apply([DELETE])


def test_a_listing_that_fails_is_never_an_empty_table(program: Program) -> None:
    """The error contains its message and exit status."""
    ipvs = program("echo Memory allocation problem >&2; exit 1")
    with pytest.raises(KernelError, match=r"`ipvsadm -Sn` failed \(1\): Memory allocation"):
        ipvs.snapshot()


def test_a_listing_in_another_format_is_never_an_empty_table(program: Program) -> None:
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
def test_messages_are_mapped_to_errnos(program: Program, words: str, number: int) -> None:
    """Ipvsadm's own messages, and those of strerror(3) which it uses for others."""
    ipvs = program(f"echo '{words}' >&2; exit 255")
    assert [Failed(number)] == list(ipvs.apply([DELETE]))


def test_an_unknown_message_is_passed_on(program: Program) -> None:
    """With EINVAL, as ipvsadm itself refused the operation."""
    ipvs = program("echo 'illegal weight specified' >&2; exit 2")
    assert [Failed(errno.EINVAL, "illegal weight specified")] == list(ipvs.apply([DELETE]))


def test_the_result_is_unknown_if_ipvsadm_is_killed(program: Program) -> None:
    """It may have sent its message before it was killed."""
    assert list(program("kill -9 $$").apply([DELETE])) == [Unknown("ipvsadm was ended by signal 9")]
