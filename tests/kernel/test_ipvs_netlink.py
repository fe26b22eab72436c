"""NetlinkIpvs against a kernel that loses answers, is written by others, or lacks something."""

import errno
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from deploy.lab.node import Node
from lvsctl.errors import KernelError, KernelLacks
from lvsctl.ipvs.factory import open_ipvs
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.ipvsadm import IpvsadmIpvs
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    FwmarkKey,
    Operation,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IpProtocol
from lvsctl.results import Done, Failed, Unknown

WEB = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80)
RR, ONE = VirtualServiceConfig("rr"), DestinationConfig(1)
RS1 = DestinationKey(IPv4Address("192.0.2.11"), 80)
NOBODY = 65534
MARKS = [FwmarkKey(Family.IPV4, mark) for mark in range(1, 1001)]


@pytest.fixture
def lb1(node: Callable[[str], Node]) -> Iterator[Node]:
    made = node("lb1")
    with made.enter():
        yield made


@pytest.fixture
def ipvs(lb1: Node) -> Iterator[NetlinkIpvs]:  # noqa: ARG001 - the test is on it
    with closing(NetlinkIpvs()) as opened:
        yield opened


def all_done(ipvs: Ipvs, operations: list[Operation]) -> None:
    assert {Done()} == set(ipvs.apply(operations))


def shrink_receive_buffer(ipvs: NetlinkIpvs) -> None:
    """Leave room for very few answers, as the kernel's smallest buffer does."""
    ipvs._socket._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)


# --- answers


def test_a_chunk_in_which_everything_fails_loses_no_answer(ipvs: NetlinkIpvs) -> None:
    """The smallest messages, so that a chunk holds as many as it can: each fails by number."""
    results = ipvs.apply([DeleteService(key) for key in MARKS])
    assert [Failed(errno.ESRCH)] * len(MARKS) == list(results)


def test_lost_answers_make_the_results_unknown(ipvs: NetlinkIpvs) -> None:
    """What is not known to have failed is not taken for done."""
    all_done(ipvs, [AddService(WEB, RR)])
    shrink_receive_buffer(ipvs)
    missing: list[Operation] = [DeleteService(key) for key in MARKS[:300]]
    results = list(ipvs.apply([*missing, AddDestination(WEB, RS1, ONE)]))
    assert {Failed, Unknown} == {type(result) for result in results}
    assert isinstance(results[-1], Unknown)
    assert {Failed(errno.ESRCH)} == {each for each in results if isinstance(each, Failed)}


def test_after_lost_answers_the_next_ones_are_right(ipvs: NetlinkIpvs) -> None:
    """What was unknown is observed again, and no late answer is taken for another's."""
    shrink_receive_buffer(ipvs)
    ipvs.apply([*map(DeleteService, MARKS[:300]), AddService(WEB, RR)])
    assert ipvs.snapshot() == {WEB: VirtualService(RR)}
    assert list(ipvs.apply([AddService(WEB, RR), DeleteService(MARKS[0])])) == [
        Failed(errno.EEXIST),
        Failed(errno.ESRCH),
    ]
    all_done(ipvs, [DeleteService(WEB)])


def test_destinations_of_a_service_whose_add_is_unknown_are_not_sent(ipvs: NetlinkIpvs) -> None:
    """A lost answer to an add may be a refusal, and the service that stands a foreign one."""
    all_done(ipvs, [AddService(WEB, RR)])
    shrink_receive_buffer(ipvs)
    add: list[Operation] = [AddService(WEB, RR), AddDestination(WEB, RS1, ONE)]
    results = ipvs.apply([*map(DeleteService, MARKS[:300]), *add])
    assert isinstance(results[-2], Unknown)
    assert ipvs.snapshot() == {WEB: VirtualService(RR)}


def test_sequence_numbers_start_again_before_they_overflow(ipvs: NetlinkIpvs) -> None:
    """A director that runs for months asks more often than there are numbers."""
    ipvs._socket._sequence = 0x7FFFFFFF
    all_done(ipvs, [AddService(key, RR) for key in MARKS])
    ipvs._socket._sequence = 0xFFFFFFFE
    assert MARKS == list(ipvs.snapshot())


def test_a_closed_table_is_not_an_empty_one(ipvs: NetlinkIpvs) -> None:
    """Reading it raises; what stood stands on."""
    all_done(ipvs, [AddService(WEB, RR)])
    ipvs.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        ipvs.snapshot()
    with closing(NetlinkIpvs()) as again:
        assert again.snapshot() == {WEB: VirtualService(RR)}


# --- other writers


class Interrupted:
    """A socket: at its ``at``-th answer something happens to the table."""

    def __init__(self, wrapped: socket.socket, at: int, happens: Callable[[], object]) -> None:
        self._wrapped = wrapped
        self._left = at
        self._happens = happens

    def send(self, data: bytes) -> int:
        return self._wrapped.send(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        received = self._wrapped.recv(size, flags)
        self._left -= 1
        if self._left == 0:
            self._happens()
        return received

    def close(self) -> None:
        self._wrapped.close()


def interrupt(ipvs: NetlinkIpvs, operation: Operation, at: int) -> None:
    """Let another writer carry out an operation at the given answer of what is read next."""

    def happens() -> None:
        with closing(NetlinkIpvs()) as other:
            all_done(other, [operation])

    generic = ipvs._socket
    inner = getattr(generic._socket, "_wrapped", generic._socket)
    generic._socket = Interrupted(inner, at, happens)  # type: ignore[assignment]


def test_a_service_deleted_during_a_dump_hides_no_other(ipvs: NetlinkIpvs) -> None:
    """The kernel counts entries between the pieces of a dump, and would leave one out."""
    keys = [replace(WEB, port=port) for port in range(1, 501)]
    all_done(ipvs, [AddService(key, RR) for key in keys])
    for number, gone in enumerate(keys[:20], 1):
        interrupt(ipvs, DeleteService(gone), at=1)
        assert keys[number:] == list(ipvs.snapshot())


def test_a_destination_deleted_during_a_dump_hides_no_other(ipvs: NetlinkIpvs) -> None:
    """The same within a service of more destinations than one piece holds."""
    keys = [DestinationKey(IPv4Address("10.0.0.0") + number, 80) for number in range(1, 401)]
    all_done(ipvs, [AddService(WEB, RR), *(AddDestination(WEB, key, ONE) for key in keys)])
    interrupt(ipvs, DeleteDestination(WEB, keys[-1]), at=3)  # after the services and their end
    assert keys[:-1] == list(ipvs.snapshot()[WEB].destinations)


def test_a_service_deleted_while_it_is_read_is_not_an_error(ipvs: NetlinkIpvs) -> None:
    """It may be absent, or there without what was not read yet; never an exception."""
    all_done(ipvs, [AddService(WEB, RR), AddDestination(WEB, RS1, ONE)])
    interrupt(ipvs, DeleteService(WEB), at=1)
    assert ipvs.snapshot([WEB]) == {WEB: VirtualService(RR)}
    assert ipvs.snapshot([WEB]) == {}


def test_a_table_that_never_stands_still_is_an_error(ipvs: NetlinkIpvs) -> None:
    """After some attempts the read fails, rather than leave out what stands."""
    keys = [replace(WEB, port=port) for port in range(1, 301)]
    all_done(ipvs, [AddService(key, RR) for key in keys])
    left = iter(keys)
    generic = ipvs._socket
    dump = generic.dump

    def disturbed(payload: bytes) -> object:
        with closing(NetlinkIpvs()) as other:
            all_done(other, [DeleteService(next(left))])
        return dump(payload)

    generic.dump = disturbed  # type: ignore[assignment,method-assign]
    with pytest.raises(KernelError, match="others change it"):
        ipvs.snapshot()


# --- what a kernel may lack


@pytest.mark.parametrize("choice", ["auto", "netlink", "ipvsadm"])
def test_a_missing_privilege_is_named(lb1: Node, choice: str) -> None:
    """With the cure, whatever drives the kernel."""

    def as_nobody() -> None:
        os.setuid(NOBODY)
        with pytest.raises(KernelLacks) as lacks:
            open_ipvs(choice)
        assert 2 == str(lacks.value).count("CAP_NET_ADMIN"), "the reason once, with its cure"

    # Forked, as a program started anew could not be loaded from a checkout closed to others.
    assert 0 == lb1.fork(as_nobody, "nobody").wait(30)


def test_the_module_is_loaded_where_it_is_missing() -> None:
    """Opening the table is enough."""
    loaded = [line.split()[0] for line in Path("/proc/modules").read_text().splitlines()]
    parts = [name for name in loaded if name.startswith("ip_vs_")]
    subprocess.run(["rmmod", *parts, "ip_vs"], check=True)
    try:
        with closing(NetlinkIpvs()) as ipvs:
            assert ipvs.snapshot() == {}
    finally:
        subprocess.run(["modprobe", "-a", "ip_vs", *parts], check=True)


@pytest.fixture
def modprobes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A modprobe that loads nothing and notes what it is asked for, in the file returned."""
    calls = tmp_path / "calls"
    program = tmp_path / "modprobe"
    program.write_text(f"#!/bin/sh\necho $* >>{calls}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return calls


def test_a_module_that_does_not_help_is_named(
    monkeypatch: pytest.MonkeyPatch, modprobes: Path
) -> None:
    """Where the kernel has no such family, modprobe is tried once, then the error says so."""
    monkeypatch.setattr("lvsctl.ipvs.netlink.FAMILY_NAME", "NOSUCH")
    with pytest.raises(KernelLacks, match="module ip_vs is not loaded; run `modprobe ip_vs`"):
        NetlinkIpvs()
    assert modprobes.read_text() == "ip_vs\n"


def test_a_module_that_cannot_be_loaded_is_named(
    monkeypatch: pytest.MonkeyPatch, modprobes: Path
) -> None:
    """With modprobe's own words."""
    modprobes.with_name("modprobe").write_text(
        "#!/bin/sh\necho not found in directory >&2\nexit 1\n"
    )
    monkeypatch.setattr("lvsctl.ipvs.netlink.FAMILY_NAME", "NOSUCH")
    with pytest.raises(KernelLacks, match=r"modprobe ip_vs.*not found in directory"):
        NetlinkIpvs()


def test_auto_takes_ipvsadm_where_netlink_cannot_be_used(
    lb1: Node,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    modprobes: Path,  # noqa: ARG001
) -> None:
    """Slower is better than not at all."""
    monkeypatch.setattr("lvsctl.ipvs.netlink.FAMILY_NAME", "NOSUCH")
    with closing(open_ipvs("auto")) as ipvs:
        assert isinstance(ipvs, IpvsadmIpvs)


def test_auto_says_why_neither_can_be_used(
    lb1: Node,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both reasons, with both cures."""
    monkeypatch.setattr("lvsctl.ipvs.netlink.FAMILY_NAME", "NOSUCH")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(KernelLacks, match=r"modprobe ip_vs.*; ipvsadm is not installed"):
        open_ipvs("auto")


def test_auto_takes_netlink(lb1: Node) -> None:  # noqa: ARG001
    """It is by far the faster."""
    with closing(open_ipvs("auto")) as ipvs:
        assert isinstance(ipvs, NetlinkIpvs)


def test_ipvsadm_that_is_not_installed_is_named(
    lb1: Node,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the package that has it."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(KernelLacks, match="apt install ipvsadm"):
        IpvsadmIpvs()
