"""The agent's part that writes the host: sets up in a safe order, keeps, tells, and undoes."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.agent.assignments import Assignments
from lvsctl.errors import KernelError
from lvsctl.host.interface import (
    AddressConfig,
    AddressKey,
    HostChange,
    HostState,
    LinkConfig,
    LinkKey,
    SysctlKey,
)
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.messages.model import Assignment, Severity, Tunnel
from tests.unit.agent.bench import (
    IPIP,
    NO_FALLBACK,
    OWN,
    RIP,
    TUNL0,
    VIPS,
    Bench,
    Killed,
    assigned,
    conf,
    vip_key,
)

# Setting up


def test_a_fresh_host_is_set_up(bench: Bench) -> None:
    """The device is up with the VIPs, ARP is silent, the tunnel is not filtered."""
    condition = bench.check(assigned(*VIPS))
    assert (VIPS, (IPIP,), ()) == (condition.ready, condition.tunnels, condition.findings)
    assert LinkConfig("ipip", up=True, mtu=1480) == bench.memory.observe([TUNL0])[TUNL0]
    assert list(map(vip_key, VIPS)) == list(bench.memory.addresses())
    assert (1, 2) == (bench.value("all", "arp_ignore"), bench.value("all", "arp_announce"))
    assert 0 == bench.effective("tunl0", "rp_filter")


def test_a_second_check_changes_nothing(bench: Bench) -> None:
    """What is in place is left alone, on the host and on the disk."""
    bench.check(assigned(*VIPS))
    bench.changes.clear()
    bench.disk_is_full = True
    condition = bench.check(assigned(*VIPS))
    assert (VIPS, ()) == (condition.ready, condition.findings)
    assert [] == bench.changes


def test_nothing_is_touched_before_an_assignment(bench: Bench) -> None:
    """An agent that knows nothing does nothing."""
    before = bench.dump()
    condition = bench.check(Assignments())
    assert ((), (), ()) == (condition.ready, condition.tunnels, condition.findings)
    assert before == bench.dump()


def step(change: HostChange) -> str:
    match change.key, change.config:
        case AddressKey(), _:
            return "VIP"
        case LinkKey(), LinkConfig(up=True):
            return "up"
        case LinkKey(), _:
            return "device"
        case SysctlKey(path=path), _ if path[-1] == "rp_filter":
            return "rp_filter all" if "all" in path else f"rp_filter {path[-2]}"
        case _:
            return "ARP"


def test_the_order_of_the_steps(bench: Bench) -> None:
    """Device, ARP, default, the others, all, tunnel, up, VIPs."""
    bench.sysctl("all", "rp_filter", 1)
    bench.sysctl("eth1", "rp_filter", 2)
    bench.sysctl("eth0", "rp_filter", 1)
    bench.sysctl("eth0", "rp_filter", 0)
    bench.check(assigned(*VIPS[:2]))
    assert [
        "device",
        "ARP",
        "ARP",
        "rp_filter default",
        "rp_filter eth0",
        "rp_filter all",
        "rp_filter tunl0",
        "up",
        "VIP",
        "VIP",
    ] == list(map(step, bench.changes))


values = st.sampled_from([0, 1, 2])
arp_values = st.integers(0, 9)
writes = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["all", "default", "lo", "eth0", "eth1"]), st.just("rp_filter"), values
        ),
        st.tuples(
            st.sampled_from(["all", "default", "eth0", "eth1"]),
            st.sampled_from(["arp_ignore", "arp_announce"]),
            arp_values,
        ),
    ),
    max_size=8,
)


def started(writes: list[tuple[str, str, int]]) -> Bench:
    bench = Bench()
    for device, parameter, value in writes:
        bench.sysctl(device, parameter, value)
    return bench


@given(writes, st.integers(0, 12))
def test_only_the_tunnel_is_relaxed(writes: list[tuple[str, str, int]], born_after: int) -> None:
    """No other device's effective rp_filter changes at any step, nor a later device's."""
    bench = started(writes)
    before = {name: bench.effective(name, "rp_filter") for name in ("lo", "eth0", "eth1")}
    for_new_devices = bench.effective("default", "rp_filter")
    number = count()

    def look(_: HostChange) -> None:
        if next(number) == born_after:
            bench.put(LinkKey("eth2"), LinkConfig("dummy", up=True))
            before["eth2"] = for_new_devices
        assert before == {name: bench.effective(name, "rp_filter") for name in before}

    bench.after_each = look
    condition = bench.check(assigned(*VIPS))
    assert VIPS == condition.ready
    assert 0 == bench.effective("tunl0", "rp_filter")
    bench.after_each = lambda _: None
    bench.put(LinkKey("eth3"), LinkConfig("dummy", up=True))
    assert for_new_devices == bench.effective("eth3", "rp_filter")


@given(writes)
def test_vips_are_never_spoken_for(writes: list[tuple[str, str, int]]) -> None:
    """Before the first VIP is there, ARP is silent on every device, whatever was set before."""
    bench = started(writes)

    def look(change: HostChange) -> None:
        if isinstance(change.key, AddressKey):
            for name in ("eth0", "eth1"):
                assert bench.effective(name, "arp_ignore") in {1, 2, 8}
                assert 2 == bench.effective(name, "arp_announce")

    bench.after_each = look
    assert VIPS == bench.check(assigned(*VIPS)).ready


@pytest.mark.parametrize(("found", "kept"), [(1, 1), (2, 2), (8, 8), (0, 1), (3, 1), (4, 1)])
def test_what_is_enough_is_left(bench: Bench, found: int, kept: int) -> None:
    """arp_ignore 1, 2 and 8 keep a real server silent; 3 to 7 do not."""
    bench.sysctl("all", "arp_ignore", found)
    bench.check(assigned(*VIPS))
    assert kept == bench.value("all", "arp_ignore")


# Interruption and undoing


@given(writes, st.integers(1, 16), st.integers(1, 16))
def test_killed_anywhere_then_undone_is_as_found(
    writes: list[tuple[str, str, int]], after: int, undo_after: int
) -> None:
    """Killed after any change, started or not, killed while undoing, then undone: as found."""
    bench = started(writes)
    bench.put(TUNL0, LinkConfig("ipip", up=False))
    before = bench.dump()
    bench.kill_after = after
    try:
        bench.check(assigned(*VIPS))
    except Killed:
        bench.started()
    bench.kill_after = len(bench.changes) + undo_after
    try:
        bench.server.undo()
    except Killed:
        bench.started()
    bench.kill_after = None
    assert () == bench.server.undo()
    assert before == bench.dump()


@given(writes, st.integers(1, 16))
def test_killed_anywhere_then_started_is_set_up(
    writes: list[tuple[str, str, int]], after: int
) -> None:
    """A killed set-up is finished by the next start, and can still be undone."""
    bench = started(writes)
    bench.put(TUNL0, LinkConfig("ipip", up=False))
    before = bench.dump()
    bench.kill_after = after
    try:
        bench.check(assigned(*VIPS))
    except Killed:
        bench.started()
    bench.kill_after = None
    condition = bench.check(assigned(*VIPS))
    assert (VIPS, ()) == (condition.ready, condition.findings)
    assert () == bench.server.undo()
    assert before == bench.dump()


def test_undoing_keeps_the_silence_of_a_vip_that_stays(bench: Bench) -> None:
    """Where a VIP cannot be removed, the sysctls stay as the VIP needs them."""
    bench.check(assigned(*VIPS[:2]))
    stuck = vip_key(VIPS[0])
    bench.refuse(stuck)
    (fault,) = bench.server.undo()
    assert str(stuck.address) == fault.subject
    assert [stuck] == list(bench.memory.addresses())
    assert 1 == bench.value("all", "arp_ignore")
    assert LinkConfig("ipip", up=True, mtu=1480) == bench.memory.observe([TUNL0])[TUNL0]


def test_what_was_there_before_stays(bench: Bench) -> None:
    """A VIP and a tunnel that somebody else had set up outlive the agent."""
    bench.put(TUNL0, LinkConfig("ipip", up=True))
    bench.put(vip_key(VIPS[0]), AddressConfig())
    before = bench.dump()
    bench.check(assigned(*VIPS))
    bench.server.undo()
    assert before == bench.dump()


# Less and more


def test_a_vip_is_taken_away(bench: Bench) -> None:
    """A VIP that is no longer assigned goes; the others stay ready throughout."""
    bench.check(assigned(*VIPS))
    bench.changes.clear()
    condition = bench.check(assigned(*VIPS[1:]))
    assert [HostChange(vip_key(VIPS[0]), None)] == bench.changes
    assert (VIPS[1:], ()) == (condition.ready, condition.findings)
    assert vip_key(VIPS[0]) not in bench.record.found


def test_a_vip_that_was_there_before_is_not_taken_away(bench: Bench) -> None:
    """It was not ours."""
    bench.put(TUNL0, LinkConfig("ipip", up=True))
    bench.put(vip_key(VIPS[0]), AddressConfig())
    bench.check(assigned(*VIPS))
    bench.check(assigned(*VIPS[1:]))
    assert vip_key(VIPS[0]) in bench.memory.addresses()


def test_all_vips_gone_keeps_the_tunnel(bench: Bench) -> None:
    """A pool without a service still says which tunnel to accept."""
    bench.check(assigned(*VIPS))
    condition = bench.check(assigned())
    assert ((), (IPIP,)) == (condition.ready, condition.tunnels)
    assert [] == list(bench.memory.addresses())


def test_nothing_assigned_any_more_undoes_everything(bench: Bench) -> None:
    """The same farm says that neither VIP nor tunnel is needed."""
    bench.put(TUNL0, LinkConfig("ipip", up=False))
    bench.sysctl("all", "rp_filter", 1)
    before = bench.dump()
    bench.check(assigned(*VIPS))
    bench.check(assigned(tunnels=()))
    assert before == bench.dump()
    assert {} == bench.record.found


def test_a_failing_vip_does_not_hold_up_the_others(bench: Bench) -> None:
    """The other VIPs are served, and the report names the one that failed."""
    bench.refuse(vip_key(VIPS[1]))
    condition = bench.check(assigned(*VIPS))
    assert (VIPS[0], VIPS[2]) == condition.ready
    (finding,) = condition.findings
    assert (Severity.BROKEN, f"{VIPS[1]}/32") == (finding.severity, finding.subject)
    assert "CAP_NET_ADMIN" in finding.cure


def test_no_vip_without_its_foundation(bench: Bench) -> None:
    """Where a sysctl cannot be set, no VIP is added, and nothing is ready."""
    bench.refuse(conf("all", "arp_announce"))
    condition = bench.check(assigned(*VIPS))
    assert ((), ()) == (condition.ready, condition.tunnels)
    assert [] == list(bench.memory.addresses())
    assert ["net.ipv4.conf.all.arp_announce"] == [item.subject for item in condition.findings]


def test_nothing_changes_without_a_record(bench: Bench) -> None:
    """On a full disk nothing could be undone, so nothing is done; then it goes on."""
    before = bench.dump()
    bench.disk_is_full = True
    condition = bench.check(assigned(*VIPS))
    assert before == bench.dump()
    assert () == condition.ready
    assert ["state folder"] == [finding.subject for finding in condition.findings]
    assert "No space left" in condition.findings[0].detail
    bench.disk_is_full = False
    condition = bench.check(assigned(*VIPS))
    assert (VIPS, ()) == (condition.ready, condition.findings)


def test_a_host_that_cannot_be_read(bench: Bench) -> None:
    """Nothing is ready that was not seen, and the reason is told."""
    bench.check(assigned(*VIPS))

    def unreadable(_: object) -> HostState:
        raise KernelError("rtnetlink: Operation not permitted")

    bench.memory.observe = unreadable  # type: ignore[assignment, method-assign]
    condition = bench.check(assigned(*VIPS))
    assert () == condition.ready
    assert "Operation not permitted" in condition.findings[0].detail


# Tunnels and families


def test_an_own_device_where_there_is_no_fallback(bench: Bench) -> None:
    """It takes packets for the real server's address only, and goes with the agent."""
    bench = Bench(MemoryHost([Hardware("eth0")], loadable=NO_FALLBACK))
    before = bench.dump()
    condition = bench.check(assigned(*VIPS))
    assert (VIPS, (IPIP,), ()) == (condition.ready, condition.tunnels, condition.findings)
    wanted = LinkConfig("ipip", up=True, mtu=1480, local=RIP)
    assert {OWN: wanted, TUNL0: None} == bench.memory.observe([OWN, TUNL0])
    assert [vip_key(vip, "lvs-ipip") for vip in VIPS] == list(bench.memory.addresses())
    bench.started()
    bench.changes.clear()
    assert VIPS == bench.check(assigned(*VIPS)).ready
    assert [] == bench.changes
    bench.server.undo()
    assert before == bench.dump()


def test_an_unknown_tunnel_is_told_and_the_known_one_served(bench: Bench) -> None:
    """A newer director may ask for more than this agent can."""
    condition = bench.check(assigned(*VIPS, tunnels=[Tunnel("vxlan"), IPIP]))
    assert (VIPS, (IPIP,)) == (condition.ready, condition.tunnels)
    assert ["tunnel vxlan"] == [finding.subject for finding in condition.findings]


def test_a_tunnel_that_is_unknown_alone_takes_nothing_away(bench: Bench) -> None:
    """What was served is served on, since the director may still send there."""
    bench.check(assigned(*VIPS))
    condition = bench.check(assigned(*VIPS, tunnels=[Tunnel("vxlan")]))
    assert ((), ()) == (condition.ready, condition.tunnels)
    assert list(map(vip_key, VIPS)) == list(bench.memory.addresses())


# Other farms and lost records


def test_vips_of_another_farm_are_kept_and_told(bench: Bench) -> None:
    """The new farm's VIPs are added, the old one's stay, and the report says so."""
    old = assigned(*VIPS[:2])
    bench.check(old)
    both = old.after(Assignment("f2", "rs2", VIPS[1:], (IPIP,)))
    condition = bench.check(both)
    assert VIPS == condition.ready
    (finding,) = condition.findings
    assert f"rs2 keeps {VIPS[0]}, assigned by farm f1" in finding.detail


def test_a_lost_record_still_lets_vips_and_device_go(bench: Bench) -> None:
    """Sysctls cannot be put back; the VIPs and the device are ours by what they are."""
    bench.check(assigned(*VIPS))
    bench.record = type(bench.record)("this boot", lost=True)
    bench.started()
    bench.changes.clear()
    assert VIPS == bench.check(assigned(*VIPS)).ready
    assert [] == bench.changes
    assert () == bench.server.undo()
    assert [] == list(bench.memory.addresses())
    assert LinkConfig("ipip", up=False, mtu=1480) == bench.memory.observe([TUNL0])[TUNL0]
    assert 1 == bench.value("all", "arp_ignore")


def test_a_device_that_comes_back_was_found_anew(bench: Bench) -> None:
    """The record of a vanished device is dropped, so that its successor's values are its own."""
    bench.put(LinkKey("veth7"), LinkConfig("dummy", up=True))
    bench.sysctl("all", "rp_filter", 1)
    bench.check(assigned(*VIPS[:1]))
    assert conf("veth7", "rp_filter") in bench.record.found
    bench.put(LinkKey("veth7"), None)
    bench.check(assigned(*VIPS))
    assert conf("veth7", "rp_filter") not in bench.record.found
