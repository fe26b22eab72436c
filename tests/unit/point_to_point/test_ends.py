"""Ends on a host in memory: made, kept, changed, taken away, refused with nothing touched."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.errors import InvalidInput, StoreError
from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    Config,
    HostChange,
    HostKey,
    HostState,
    LinkConfig,
    LinkKey,
    RouteConfig,
    RouteKey,
)
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.messages.model import TunnelEnd, TunnelMode
from lvsctl.point_to_point.ends import Ends
from lvsctl.results import Done
from tests.support.hosts import WatchedHost
from tests.unit.agent.bench import Killed

RIP = ip_interface("192.0.2.11/24")
C2D = LinkKey("c2d")
END = TunnelEnd(
    tunnel="c2d",
    link="c2d",
    mode=TunnelMode.GRE,
    local=RIP.ip,
    remote=ip_address("192.0.2.12"),
    addresses=(ip_interface("192.168.2.1/24"),),
    device="eth0",
    key=7,
)


class Disk:
    """A host in memory, and what is on its disk."""

    def __init__(self) -> None:
        self.memory = MemoryHost([Hardware("eth0")])
        self.set(AddressKey("eth0", RIP), AddressConfig())
        self.recorded: Sequence[TunnelEnd] = ()
        self.full = False

    def set(self, key: HostKey, config: Config | None) -> None:
        assert [Done()] == list(self.memory.apply([HostChange(key, config)]))

    def save(self, ends: Sequence[TunnelEnd]) -> None:
        if self.full:
            raise StoreError("the disk is full")
        self.recorded = ends

    def started(self, after_each: Callable[[HostChange], None] = lambda _: None) -> Ends:
        return Ends(WatchedHost(self.memory, after_each), self.recorded, self.save)

    def dump(self) -> HostState:
        keys = [LinkKey(name) for name in self.memory.links()]
        return {**self.memory.observe(keys), **self.memory.addresses()}


def test_is_made_kept_and_taken_away() -> None:
    """The device has all that was asked for, drift is mended and named, and it goes wholly."""
    disk = Disk()
    before = disk.dump()
    ends = disk.started()
    assert "" == ends.bring_up(END)
    link = disk.memory.observe([C2D])[C2D]
    assert LinkConfig("gre", True, 1472, END.local, END.remote, "eth0", 7) == link  # noqa: FBT003
    assert ("", 1472) == (ends.observe(END).reason, ends.observe(END).mtu)
    assert "" == ends.bring_up(END)
    assert isinstance(link, LinkConfig)
    disk.set(C2D, replace(link, up=False))
    assert "c2d is down" == ends.observe(END).reason
    assert "c2d is down" == ends.bring_up(END)
    disk.set(C2D, None)
    assert "c2d is missing" == disk.started().bring_up(END)
    disk.started().take_down("c2d")
    assert (before, ()) == (disk.dump(), disk.recorded)


@pytest.mark.parametrize(
    "after",
    [
        replace(END, addresses=(ip_interface("192.168.9.1/24"),)),
        replace(END, mtu=1300),
        replace(END, key=8),
        replace(END, remote=ip_address("192.0.2.13"), mode=TunnelMode.IPIP, key=None),
        replace(END, ttl=9, device=None),
    ],
    ids=["addresses", "mtu", "key", "other host", "ttl and device"],
)
def test_becomes_another(after: TunnelEnd) -> None:
    """From any end to any other it is as if it had been made at once, and back."""
    disk, fresh = Disk(), Disk()
    for end in (END, after, END):
        disk.started().bring_up(end)
    fresh.started().bring_up(END)
    assert fresh.dump() == disk.dump()
    disk.started().bring_up(after)
    fresh.started().take_down("c2d")
    fresh.started().bring_up(after)
    assert fresh.dump() == disk.dump()


@given(st.integers(0, 8))
def test_killed_at_any_change_it_is_undone(number: int) -> None:
    """Whatever had been done of a making and a change, a later start takes it all away."""
    disk = Disk()
    before = disk.dump()
    left = iter(range(number))

    def maybe(_: HostChange) -> None:
        if next(left, None) is None:
            raise Killed

    try:
        disk.started(maybe).bring_up(END)
        disk.started(maybe).bring_up(replace(END, key=8))
    except Killed:
        pass
    disk.started().take_down("c2d")
    assert (before, ()) == (disk.dump(), disk.recorded)


REFUSED = {
    "a foreign underlay": (replace(END, local=ip_address("192.0.2.99")), "/local"),
    "itself": (replace(END, remote=RIP.ip), "/remote"),
    "no such device": (replace(END, device="eth9"), "/device"),
    "a name in use": (replace(END, link="eth0"), "/link"),
    "an overlap": (replace(END, addresses=(ip_interface("192.0.2.129/25"),)), "/addresses/0"),
}


@pytest.mark.parametrize(("end", "pointer"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_host_cannot_have_is_refused(end: TunnelEnd, pointer: str) -> None:
    """Each refusal names the field; nothing was recorded and nothing changed."""
    disk = Disk()
    before = disk.dump()
    with pytest.raises(InvalidInput) as refusal:
        disk.started().bring_up(end)
    assert pointer in {problem.pointer for problem in refusal.value.problems}
    assert (before, ()) == (disk.dump(), disk.recorded)


def test_a_change_in_place_is_refused_too() -> None:
    """An end that stands cannot become one that takes clients' packets or a director's."""
    disk = Disk()
    ends = disk.started()
    ends.bring_up(END)
    route = RouteKey(MAIN_TABLE, ip_network("0.0.0.0/0"))
    disk.set(route, RouteConfig("eth0", ip_address("192.0.2.1")))
    before, recorded = disk.dump(), disk.recorded
    director = {ip_address("192.168.7.10"): "a director of this agent"}
    for address in ("203.0.113.129/25", "192.168.7.1/24"):
        with pytest.raises(InvalidInput, match="would capture"):
            ends.bring_up(replace(END, addresses=(ip_interface(address),)), director)
    assert (before, recorded) == (disk.dump(), disk.recorded)
    assert "" == ends.bring_up(END, director)


def test_a_pair_in_use_is_refused() -> None:
    """Also where the device that has it is not ours; another key is another pair."""
    disk = Disk()
    disk.started().bring_up(END)
    other = replace(END, link="x", addresses=(ip_interface("192.168.9.1/24"),))
    with pytest.raises(InvalidInput, match=r"c2d already joins .* by gre with key 7"):
        disk.started().bring_up(other)
    disk.started().bring_up(replace(other, key=8))


def test_a_device_of_somebody_else_is_never_touched() -> None:
    """Neither one that was there, nor one that came under the name of ours."""
    disk = Disk()
    disk.set(C2D, LinkConfig("dummy", up=True))
    with pytest.raises(InvalidInput, match="already has a device c2d"):
        disk.started().bring_up(END)
    disk.set(C2D, None)
    disk.started().bring_up(END)
    disk.set(C2D, None)
    disk.set(C2D, LinkConfig("dummy", up=True))
    assert "c2d is another device, of kind dummy" == disk.started().observe(END).reason
    with pytest.raises(InvalidInput, match="already has a device c2d"):
        disk.started().bring_up(END)
    disk.started().take_down("c2d")
    assert "c2d" in disk.memory.links()


def test_without_a_disk_nothing_is_done() -> None:
    """What could not be undone is not made."""
    disk = Disk()
    before = disk.dump()
    disk.full = True
    with pytest.raises(StoreError):
        disk.started().bring_up(END)
    assert before == disk.dump()


@pytest.mark.parametrize(
    ("key", "config", "reason"),
    [
        (LinkKey("eth0"), LinkConfig("", up=False), "eth0, its underlay device, is down"),
        (
            AddressKey("eth0", RIP),
            None,
            "192.0.2.11, the source of its packets, is no longer an address",
        ),
        (AddressKey("c2d", END.addresses[0]), None, "192.168.2.1/24 is missing from c2d"),
    ],
)
def test_what_stops_it_on_this_host_is_named(
    key: LinkKey | AddressKey, config: LinkConfig | None, reason: str
) -> None:
    """The reason is the thing below it that is gone."""
    disk = Disk()
    disk.started().bring_up(END)
    disk.set(key, config)
    assert reason in disk.started().observe(END).reason
