"""The way out, confirmed step by step or not taken."""

import asyncio
import errno
from collections.abc import Sequence

import pytest

from lvsctl.agent.leave import QUIET_S
from lvsctl.agent.leave_files import LeaveRequest
from lvsctl.host.interface import HostChange
from lvsctl.messages.model import Membership
from lvsctl.results import Failed, Result
from tests.unit.agent.bench import VIPS, vip_key
from tests.unit.agent.site import Site, text
from tests.unit.virtual_time import run


def test_leaves_step_by_step(site: Site) -> None:
    """No new connections, no connections, no destinations, and only then the host is undone."""

    async def scenario() -> None:
        site.director.open = 2
        agent = site.agent()
        task = asyncio.ensure_future(agent.run())
        await asyncio.sleep(1)
        leaving = asyncio.ensure_future(site.leaves())
        await asyncio.sleep(10)
        assert [Membership.JOINED, Membership.LEAVING] == site.director.memberships
        assert text(*VIPS[:2]) == site.served
        site.director.open = 0
        progress = await leaving
        assert [Membership.JOINED, Membership.LEAVING, Membership.LEFT] == site.director.memberships
        assert progress.left
        assert (
            "no new connections are sent to this host",
            "2 connections are open; waiting up to 30 s",
            "no connection is open",
            "no director sends anything to this host",
            "this host is as it was found",
        ) == progress.lines
        assert site.as_found == site.dump()
        await asyncio.wait_for(task, timeout=2)
        assert {"lock", "leave-progress.json"} >= {path.name for path in site.folder.iterdir()}

    run(scenario())


def test_a_connection_on_its_way_is_waited_for(site: Site) -> None:
    """No open connection counts only once it has been so for a while."""

    async def scenario() -> None:
        async with site.running():
            leaving = asyncio.ensure_future(site.leaves())
            await asyncio.sleep(QUIET_S - 1)
            site.director.open = 1
            await asyncio.sleep(QUIET_S + 1)
            assert Membership.LEAVING == site.director.memberships[-1]
            site.director.open = 0
            ended_s = asyncio.get_running_loop().time()
            assert (await leaving).left
            assert QUIET_S <= asyncio.get_running_loop().time() - ended_s <= QUIET_S + 3

    run(scenario())


def test_leaving_waits_no_longer_than_the_deadline(site: Site) -> None:
    """Connections that do not end are told and given up."""

    async def scenario() -> None:
        site.director.open = 1
        async with site.running():
            start_s = asyncio.get_running_loop().time()
            progress = await site.leaves(deadline_s=30)
            assert 30 <= asyncio.get_running_loop().time() - start_s <= 33
            assert progress.left
            assert "1 connection is open after 30 s; continuing" in progress.lines

    run(scenario())


def test_drift_is_repaired_while_connections_end(site: Site) -> None:
    """A server that waits for its last connections still serves them."""

    async def scenario() -> None:
        site.director.open = 1
        async with site.running():
            leaving = asyncio.ensure_future(site.leaves())
            await asyncio.sleep(2)
            site.memory.apply([HostChange(vip_key(VIPS[0]), None)])
            await asyncio.sleep(6)
            assert sorted(text(*VIPS[:2])) == sorted(site.served)
            assert (await leaving).left

    run(scenario())


@pytest.mark.parametrize("reachable", [True, False])
def test_a_leave_that_is_not_confirmed_undoes_nothing(site: Site, *, reachable: bool) -> None:
    """Observe mode or a director that is away: the agent stays in, and says how to get out."""

    async def scenario() -> None:
        async with site.running():
            serving = site.dump()
            site.director.applies = False
            if not reachable:
                site.director.goes_down()
            progress = await site.leaves()
            assert not progress.left
            told = " ".join(progress.lines)
            assert ("mode is observe" if reachable else "connection refused") in told
            assert "--force" in told
            assert serving == site.dump()
            site.director.comes_back()
            await asyncio.sleep(12)
            assert [Membership.JOINED] == site.director.memberships[-1:]
            assert serving == site.dump()
            assert site.state.leave.request() is None

    run(scenario())


def test_force_leaves_without_confirmation(site: Site) -> None:
    """A real server whose director is gone for good can be restored."""

    async def scenario() -> None:
        async with site.running():
            site.director.goes_down()
            progress = await site.leaves(force=True)
            assert progress.left
            assert "connection refused" in progress.lines[0]
            assert site.as_found == site.dump()

    run(scenario())


def test_a_leave_goes_on_after_a_kill(site: Site) -> None:
    """The request is on the disk: whoever starts next carries it out."""

    async def scenario() -> None:
        site.director.open = 1
        async with site.running():
            site.state.leave.save_request(LeaveRequest("request", 30, force=False))
            await asyncio.sleep(5)
            assert [Membership.LEAVING] == site.director.memberships[-1:]
        site.director.open = 0
        await asyncio.wait_for(site.agent().run(), timeout=10)
        assert [Membership.LEFT] == site.director.memberships[-1:]
        assert site.as_found == site.dump()

    run(scenario())


def test_a_host_that_cannot_be_undone_stays_in(site: Site) -> None:
    """What cannot be restored is reported, and the server joins and is set up again."""

    async def scenario() -> None:
        async with site.running():
            serving = site.dump()
            apply = site.memory.apply

            def stuck(changes: Sequence[HostChange]) -> Sequence[Result]:
                if HostChange(vip_key(VIPS[0]), None) in changes:
                    return [Failed(errno.EPERM)] * len(changes)
                return apply(changes)

            site.memory.apply = stuck  # type: ignore[method-assign]
            progress = await site.leaves()
            assert not progress.left
            assert any("not restored" in line for line in progress.lines)
            await asyncio.sleep(6)
            assert [Membership.JOINED] == site.director.memberships[-1:]
            assert serving == site.dump()

    run(scenario())


def test_an_unreadable_request_to_leave_is_dropped(site: Site) -> None:
    """Garbage is no order."""

    async def scenario() -> None:
        async with site.running():
            site.folder.joinpath("leave.json").write_text("garbage")
            await asyncio.sleep(3)
            assert not site.folder.joinpath("leave.json").exists()
            assert text(*VIPS[:2]) == site.served

    run(scenario())
