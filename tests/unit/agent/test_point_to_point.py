"""The agent and the ends of point-to-point tunnels on its host; seconds pass in no time."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address, ip_interface

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.state_dir import TUNNEL_ENDS
from lvsctl.host.interface import AddressConfig, AddressKey, HostChange, LinkKey
from lvsctl.messages.model import Assignment, Severity, TunnelEnd, TunnelEndState, TunnelMode
from tests.unit.agent.bench import RIP
from tests.unit.agent.site import Site
from tests.unit.virtual_time import run

PEER = ip_address("192.168.2.2")
END = TunnelEnd(
    tunnel="c2d",
    link="c2d",
    mode=TunnelMode.GRE,
    local=RIP,
    remote=ip_address("192.0.2.12"),
    addresses=(ip_interface("192.168.2.1/24"),),
    peers=(PEER,),
)


def with_tunnel(site: Site, *ends: TunnelEnd) -> Site:
    site.memory.apply([HostChange(AddressKey("eth0", ip_interface(f"{RIP}/24")), AddressConfig())])
    site.director.tunnel_ends = ends or (END,)
    return site


def state(site: Site) -> TunnelEndState:
    (found,) = site.director.reports[-1][0].tunnel_ends
    return found


def test_brings_up_its_end_and_tells_when_the_other_answers(site: Site) -> None:
    """Down with the reason at first, up with mtu and round trip once there is an answer."""

    async def scenario() -> None:
        with_tunnel(site)
        async with site.running(5):
            assert "c2d" in site.memory.links()
            told = state(site)
            assert (False, "no answer from 192.168.2.2 through c2d") == (told.up, told.reason)
            site.answering.add(PEER)
            await asyncio.sleep(25)
            told = state(site)
            assert (True, "", 1476, 500, 0) == (
                told.up,
                told.reason,
                told.mtu,
                told.round_trip_us,
                told.lost,
            )
            site.answering.clear()
            await asyncio.sleep(6)
            again = state(site)
            assert (False, True) == (again.up, again.since > told.since)

    run(scenario())


def test_mends_and_tells(site: Site) -> None:
    """A device that somebody deleted is made again, and that is a finding."""

    async def scenario() -> None:
        with_tunnel(site)
        async with site.running(3):
            site.memory.apply([HostChange(LinkKey("c2d"), None)])
            await asyncio.sleep(16)
            assert "c2d" in site.memory.links()
            found = site.director.reports[-1][0].findings
            assert (Severity.REPAIRED, "c2d") in [(each.severity, each.subject) for each in found]

    run(scenario())


def test_takes_it_away_when_its_farm_says_so(site: Site) -> None:
    """And not when a farm that does not know it speaks."""

    async def scenario() -> None:
        with_tunnel(site)
        async with site.running(3):
            site.director.farm_id = "f2"
            site.director.assign_ends()
            await asyncio.sleep(10)
            assert "c2d" in site.memory.links()
            site.director.farm_id = "f1"
            site.director.assign_ends()
            await asyncio.sleep(10)
            assert "c2d" not in site.memory.links()

    run(scenario())


def test_a_restart_without_files_keeps_what_was_made(site: Site) -> None:
    """Neither a lost assignment nor a lost record takes a tunnel down, or makes it a stranger."""

    async def scenario() -> None:
        with_tunnel(site)
        async with site.running(3):
            pass
        made = site.memory.observe([LinkKey("c2d")])
        for name in ("assignments.json", TUNNEL_ENDS):
            (site.folder / name).write_text("{")
            site.changes.clear()
            async with site.running(8):
                assert made == site.memory.observe([LinkKey("c2d")])
                assert LinkKey("c2d") not in {change.key for change in site.changes}
        site.director.goes_down()
        (site.folder / "assignments.json").write_text("{")
        async with site.running(8):
            assert made == site.memory.observe([LinkKey("c2d")])
        site.director.comes_back()
        site.director.tunnel_ends = ()
        async with site.running(8):
            # Nobody knows whose it was, so nobody can say that it goes; it is told.
            assert "c2d" in site.memory.links()
            (found,) = site.director.reports[-1][0].findings
            assert "keeps c2d, assigned by farm unknown" in found.detail

    run(scenario())


def test_what_the_host_cannot_have_is_told(site: Site) -> None:
    """The reason goes to the director, and nothing is made."""

    async def scenario() -> None:
        with_tunnel(site, replace(END, local=ip_address("192.0.2.99")))
        async with site.running(5):
            assert "192.0.2.99 is not an address of this host" == state(site).reason
            assert "c2d" not in site.memory.links()

    run(scenario())


def test_ends_of_two_farms() -> None:
    """What another farm assigned stays, unless the present farm wants its device."""
    other = replace(END, link="x", tunnel="x")
    old = Assignment("f1", "rs2", (), (), tunnel_ends=(END, other))
    new = Assignment("f2", "rs2", (), (), tunnel_ends=(replace(END, key=5),))
    after = Assignments((old,)).after(new)
    assert (replace(END, key=5), other) == after.tunnel_ends
    assert (
        ()
        == after.after(replace(old, tunnel_ends=())).after(replace(new, tunnel_ends=())).tunnel_ends
    )
