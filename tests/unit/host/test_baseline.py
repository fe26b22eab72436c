"""Properties of set-up and restore, with random hosts, interruptions and other writers."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_interface

from hypothesis import event, given
from hypothesis import strategies as st

from lvsctl.host.baseline import Baseline, extend, plan_restore
from lvsctl.host.interface import (
    AddressConfig,
    AddressKey,
    Config,
    HostChange,
    HostKey,
    HostState,
    LinkConfig,
    LinkKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.host.plan import changes
from lvsctl.results import Done

DEVICES = ("lo", "eth0", "eth1", "tunl0")
PARAMETERS = ("rp_filter", "arp_ignore")
THEIRS = "8"
"""A value that only other programs set."""


def conf(device: str, parameter: str) -> SysctlKey:
    return SysctlKey(("net", "ipv4", "conf", device, parameter))


SYSCTLS = [
    conf(name, parameter) for name in ("all", "default", *DEVICES) for parameter in PARAMETERS
]
TUNL0, OWN = LinkKey("tunl0"), LinkKey("lvs-ipip")
VIPS = [ip_interface(f"198.51.100.{number}/32") for number in (10, 20)]
ADDRESSES = [AddressKey(link, vip) for link in ("tunl0", "lvs-ipip") for vip in VIPS]
EVERYTHING: Sequence[HostKey] = [*SYSCTLS, TUNL0, OWN, *ADDRESSES]

ours = st.sampled_from(["0", "1", "2"]).map(SysctlConfig)


@st.composite
def sysctl_wishes(draw: st.DrawFn) -> HostState:
    """Draw values in any order; with ``default`` every device is included, as required."""
    parameters = draw(st.lists(st.sampled_from(PARAMETERS), unique=True))
    keys = [key for key in SYSCTLS if key.path[-1] in parameters]
    return {key: draw(ours) for key in draw(st.permutations(keys))}


@dataclass(frozen=True)
class Start:
    """The initial state of a host: writes in order, then VIPs and tunl0."""

    written: tuple[tuple[SysctlKey, SysctlConfig], ...]
    tunl0_up: bool
    vip_there: bool


starts = st.builds(
    Start,
    written=st.lists(st.tuples(st.sampled_from(SYSCTLS), ours), max_size=8).map(tuple),
    tunl0_up=st.booleans(),
    vip_there=st.booleans(),
)


@st.composite
def wishes(draw: st.DrawFn) -> HostState:
    """Draw a desired state: sysctls in any order, then devices, then addresses on them."""
    own = draw(st.booleans())
    wanted: dict[HostKey, Config | None] = {**draw(sysctl_wishes())}
    if own:
        wanted[OWN] = LinkConfig("ipip", up=draw(st.booleans()), local=IPv4Address("192.0.2.11"))
    wanted[TUNL0] = LinkConfig("ipip", up=draw(st.booleans()))
    there = [key for key in ADDRESSES if own or key.link == "tunl0"]
    for key in draw(st.lists(st.sampled_from(there), unique=True)):
        wanted[key] = AddressConfig()
    return wanted


def started(start: Start) -> MemoryHost:
    host = MemoryHost([Hardware("eth0"), Hardware("eth1")])
    make(host, [HostChange(TUNL0, LinkConfig("ipip", up=start.tunl0_up))])
    if start.vip_there:
        make(host, [HostChange(ADDRESSES[0], AddressConfig())])
    make(host, [HostChange(key, config) for key, config in start.written])
    return host


def make(host: MemoryHost, todo: Sequence[HostChange]) -> None:
    assert [Done()] * len(todo) == list(host.apply(todo))


def wish(host: MemoryHost, found: Baseline, wanted: HostState, interrupted_after: int) -> Baseline:
    """Set up a host in several passes, interrupted after a number of changes."""
    left = interrupted_after
    for _ in range(3):
        observed = host.observe(EVERYTHING)
        found = extend(found, wanted, observed)
        todo = changes(wanted, observed)[:left]
        make(host, todo)
        left -= len(todo)
    return found


def leave(host: MemoryHost, found: Baseline, interrupted_after: int = 1000) -> None:
    make(host, plan_restore(found, host.observe(found))[:interrupted_after])


@given(starts, wishes())
def test_set_up_converges(start: Start, wanted: HostState) -> None:
    """After three passes the host is as desired, and there is nothing left to do."""
    host = started(start)
    wish(host, {}, wanted, 1000)
    assert () == changes(wanted, host.observe(EVERYTHING))


@given(starts, st.lists(st.tuples(wishes(), st.integers(0, 12)), max_size=3), st.integers(0, 12))
def test_a_host_is_restored_after_interruptions_anywhere(
    start: Start, attempts: list[tuple[HostState, int]], leave_interrupted_after: int
) -> None:
    """Set-ups interrupted after any change, then an interrupted restore, then a restore."""
    host = started(start)
    before = host.observe(EVERYTHING)
    found: Baseline = {}
    for wanted, interrupted_after in attempts:
        found = wish(host, found, wanted, interrupted_after)
    event("changed" if host.observe(EVERYTHING) != before else "unchanged")
    leave(host, found, leave_interrupted_after)
    leave(host, found)
    assert before == host.observe(EVERYTHING)
    assert () == plan_restore(found, host.observe(found))


@given(
    starts,
    wishes(),
    st.integers(0, 12),
    st.lists(st.sampled_from([*SYSCTLS, *ADDRESSES[:2]]), min_size=1, max_size=4),
)
def test_changes_by_other_programs_are_kept(
    start: Start, wanted: HostState, interrupted_after: int, touched: list[HostKey]
) -> None:
    """Restoring reverts only what lvsctl changed."""
    host = started(start)
    before = host.observe(EVERYTHING)
    found = wish(host, {}, wanted, interrupted_after)
    ours_then = host.observe(EVERYTHING)
    for key in touched:
        their = (
            SysctlConfig(THEIRS) if isinstance(key, SysctlKey) else AddressConfig(deprecated=True)
        )
        make(host, [HostChange(key, their)])
    theirs_then = host.observe(EVERYTHING)
    theirs = {key for key in EVERYTHING if ours_then[key] != theirs_then[key]}
    leave(host, found)
    expected = {key: (theirs_then if key in theirs else before)[key] for key in EVERYTHING}
    assert expected == host.observe(EVERYTHING)


def test_nothing_is_recorded_while_nothing_changes() -> None:
    """So no write to the disk is needed."""
    host = started(Start((), tunl0_up=True, vip_there=True))
    wanted: HostState = {TUNL0: LinkConfig("ipip", up=True), ADDRESSES[0]: AddressConfig()}
    found: Baseline = {}
    assert found is extend(found, wanted, host.observe(EVERYTHING))


def test_the_order_of_restoring() -> None:
    """Addresses, then devices, then sysctls: ``all``, ``default``, and the devices' own."""
    host = started(Start((), tunl0_up=False, vip_there=False))
    one = SysctlConfig("1")
    wanted: HostState = {
        conf("eth0", "rp_filter"): one,
        conf("default", "rp_filter"): one,
        conf("all", "rp_filter"): one,
        TUNL0: LinkConfig("ipip", up=True),
        ADDRESSES[0]: AddressConfig(),
    }
    found = wish(host, {}, wanted, 1000)
    assert [
        ADDRESSES[0],
        TUNL0,
        conf("all", "rp_filter"),
        conf("default", "rp_filter"),
        conf("eth0", "rp_filter"),
    ] == [change.key for change in plan_restore(found, host.observe(found))]


def test_a_fallback_device_that_lvsctl_loaded_is_left_down() -> None:
    """It cannot be deleted, and is down after its module was loaded. Own devices are deleted."""
    host = MemoryHost()
    wanted: HostState = {
        TUNL0: LinkConfig("ipip", up=True),
        OWN: LinkConfig("ipip", up=True, local=IPv4Address("192.0.2.11")),
    }
    found = wish(host, {}, wanted, 1000)
    leave(host, found)
    assert {TUNL0: LinkConfig("ipip", up=False, mtu=1480), OWN: None} == host.observe([TUNL0, OWN])


def test_an_mtu_set_by_another_program_is_kept() -> None:
    """Lvsctl did not set it, so it is not restored."""
    host = started(Start((), tunl0_up=False, vip_there=False))
    found = wish(host, {}, {TUNL0: LinkConfig("ipip", up=True)}, 1000)
    make(host, [HostChange(TUNL0, LinkConfig("ipip", up=True, mtu=1400))])
    leave(host, found)
    assert {TUNL0: LinkConfig("ipip", up=False, mtu=1400)} == host.observe([TUNL0])
