"""The agent's loop against directors that come, go, lie and forget; seconds pass in no time."""

import asyncio
from itertools import pairwise

import pytest

from lvsctl.agent.point_to_point import PointToPoint
from lvsctl.errors import ConfigurationError, Conflict, InvalidInput, LvsctlError, Problem
from lvsctl.host.interface import HostChange
from lvsctl.messages.model import Membership, Registration, Severity, TunnelEndState
from tests.support.fake_director import FakeDirector
from tests.support.workers import BusyWorker
from tests.unit.agent.bench import RIP, VIPS, vip_key
from tests.unit.agent.site import Site, text
from tests.unit.virtual_time import run

# Following a director


def test_joins_sets_up_and_reports(site: Site) -> None:
    """The first second: registered, assigned, set up, reported ready."""

    async def scenario() -> None:
        async with site.running():
            assert {"rs2": Registration(RIP, ("web",))} == site.director.agents
            assert text(*VIPS[:2]) == site.served
            report, _ = site.director.reports[-1]
            assert ("f1", VIPS[:2], ()) == (report.farm_id, report.ready, report.findings)

    run(scenario())


def test_waits_for_news_and_keeps_its_lease(site: Site) -> None:
    """In 100 quiet seconds: one question every 25 s, one report every 10 s."""

    async def scenario() -> None:
        async with site.running(5):
            asked, reports = len(site.director.asked), len(site.director.reports)
            await asyncio.sleep(100)
            assert 10 == len(site.director.reports) - reports
            assert 4 + 10 == len(site.director.asked) - asked

    run(scenario())


def test_a_director_that_does_not_wait_is_not_hammered(site: Site) -> None:
    """Who answers "nothing new" at once is asked once a second."""

    async def scenario() -> None:
        site.director.waits = False
        async with site.running(101):
            questions = [what for what, _ in site.director.asked if what == "assignment"]
            assert 95 <= len(questions) <= 105

    run(scenario())


def test_a_director_is_not_hammered_when_it_says_the_same_again(site: Site) -> None:
    """One that knows neither tags nor waiting is asked once a second."""

    async def scenario() -> None:
        async with site.running():
            site.director.forgets_tags = True
            site.director.assign(*VIPS[:2])
            await asyncio.sleep(100)
            questions = [what for what, _ in site.director.asked if what == "assignment"]
            assert 95 <= len(questions) <= 110

    run(scenario())


def test_a_new_assignment_is_followed_at_once(site: Site) -> None:
    """A VIP comes and another goes without waiting for a timer, and both are reported."""

    async def scenario() -> None:
        async with site.running():
            site.director.assign(*VIPS[1:])
            await asyncio.sleep(0.01)
            assert text(*VIPS[1:]) == site.served
            assert VIPS[1:] == site.director.reports[-1][0].ready

    run(scenario())


def test_drift_is_repaired_by_the_timer(site: Site) -> None:
    """Five seconds at most, and the repair is reported."""

    async def scenario() -> None:
        async with site.running():
            site.memory.apply([HostChange(vip_key(VIPS[0]), None)])
            await asyncio.sleep(5)
            assert sorted(text(*VIPS[:2])) == sorted(site.served)
            (finding,) = site.director.reports[-1][0].findings
            assert Severity.REPAIRED is finding.severity

    run(scenario())


def test_events_on_the_host_bring_the_check_forward(site: Site) -> None:
    """One second after the first of many events, and once for all of them."""

    async def scenario() -> None:
        async with site.running(5.5) as agent:
            site.changes.clear()
            site.memory.apply([HostChange(vip_key(VIPS[0]), None)])
            for _ in range(50):
                agent.host_changed()
                await asyncio.sleep(0.01)
            assert [] == site.changes
            await asyncio.sleep(0.6)
            assert [HostChange(vip_key(VIPS[0]), None).key] == [item.key for item in site.changes]

    run(scenario())


def test_ending_changes_nothing(site: Site) -> None:
    """SIGTERM leaves the host serving; the next start finds everything in place."""

    async def scenario() -> None:
        async with site.running():
            serving = site.dump()
        assert serving == site.dump()
        site.changes.clear()
        async with site.running():
            assert ([], serving) == (site.changes, site.dump())

    run(scenario())


# Directors away


def test_serves_from_the_disk_while_no_director_answers(site: Site) -> None:
    """After a reboot with the director away the host is set up from the last assignment."""

    async def scenario() -> None:
        async with site.running():
            pass
        site.reboots()
        site.director.goes_down()
        async with site.running(0.1):
            assert text(*VIPS[:2]) == site.served
        assert "connection refused" in site.status.contact.problem

    run(scenario())


def test_nothing_is_touched_without_any_assignment(site: Site) -> None:
    """A first start with the director away waits."""

    async def scenario() -> None:
        site.director.goes_down()
        async with site.running(60):
            assert site.as_found == site.dump()

    run(scenario())


def test_a_director_that_is_away_changes_nothing(site: Site) -> None:
    """Hours without a director: everything stays; attempts come within 10 s; then it goes on."""

    async def scenario() -> None:
        async with site.running():
            serving = site.dump()
            site.director.goes_down()
            await asyncio.sleep(7200)
            assert serving == site.dump()
            times = [at for what, at in site.director.asked if what == "assignment"][-20:]
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert 5 <= min(gaps)
            assert max(gaps) <= 10
            assert len(set(gaps)) > 10
            site.director.comes_back()
            site.director.assign(*VIPS)
            await asyncio.sleep(12)
            assert text(*VIPS) == site.served
            assert "" == site.status.contact.problem

    run(scenario())


def test_a_problem_that_is_over_leaves_the_status_at_once(site: Site) -> None:
    """The status on disk follows the next good answer, not the next report, up to 10 s later."""

    async def scenario() -> None:
        site.director.forgets_tags = True
        async with site.running():
            site.director.goes_down()
            await asyncio.sleep(1)
            assert "connection refused" in site.status.contact.problem
            site.director.comes_back()
            failed = len(site.director.asked)
            for _ in range(1000):  # of 10 ms
                if "assignment" in dict(site.director.asked[failed:]):
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert "" == site.status.contact.problem

    run(scenario())


def test_a_status_is_put_together_on_the_event_loop(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the worker's thread it would be read while a check changes it, which ended the agent."""
    site.worker = worker = BusyWorker("test")
    asked_in_worker: list[bool] = []

    def states(_: PointToPoint) -> tuple[TunnelEndState, ...]:
        asked_in_worker.append(worker.busy)
        return ()

    monkeypatch.setattr(PointToPoint, "states", states)

    async def scenario() -> None:
        async with site.running(30):
            assert {False} == set(asked_in_worker)

    run(scenario())


def test_the_next_director_is_asked(site: Site) -> None:
    """Where one of two is away, the other is followed, there and back."""

    async def scenario() -> None:
        second = FakeDirector("http://lb2:8080", vips=VIPS[:2])
        site.directors.append(second)
        async with site.running():
            site.director.goes_down()
            second.assign(*VIPS)
            await asyncio.sleep(3)
            assert text(*VIPS) == site.served
            assert VIPS == second.reports[-1][0].ready
            second.goes_down()
            site.director.comes_back()
            site.director.assign(*VIPS[1:])
            await asyncio.sleep(5)
            assert text(*VIPS[1:]) == site.served

    run(scenario())


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("http://lb1:8080: the token is wrong; give …"),
        Conflict("http://lb1:8080: the address belongs to rs1"),
        InvalidInput([Problem("/pools/0", "there is no pool web")]),
    ],
)
def test_a_refusal_is_told_and_tried_again(site: Site, error: LvsctlError) -> None:
    """The reason is in the status, and the agent joins as soon as it is let in."""

    async def scenario() -> None:
        site.director.error = error
        async with site.running(60):
            assert str(error) == site.status.contact.problem
            assert 6 <= len(site.director.asked) <= 20
            site.director.error = None
            await asyncio.sleep(10)
            assert text(*VIPS[:2]) == site.served

    run(scenario())


def test_an_agent_that_was_forgotten_joins_again(site: Site) -> None:
    """404 is no order to remove anything."""

    async def scenario() -> None:
        async with site.running():
            serving = site.dump()
            site.director.forgets_everybody()
            await asyncio.sleep(2)
            assert serving == site.dump()
            assert {"rs2"} == site.director.agents.keys()
            assert [Membership.JOINED] * 2 == site.director.memberships

    run(scenario())


def test_another_farm_removes_nothing(site: Site) -> None:
    """A director that lost its state, or another one, has other VIPs or none: ours stay."""

    async def scenario() -> None:
        async with site.running():
            site.director.farm_id = "f2"
            site.director.assign()
            await asyncio.sleep(2)
            assert text(*VIPS[:2]) == site.served
            assert [Membership.JOINED] * 2 == site.director.memberships
            report, _ = site.director.reports[-1]
            assert "f2" == report.farm_id
            assert [(Severity.BROKEN, "farm f1")] == site.findings
            site.director.assign(VIPS[1], VIPS[2])
            await asyncio.sleep(2)
            assert text(*VIPS) == site.served
            site.director.assign(VIPS[2])
            await asyncio.sleep(2)
            assert text(VIPS[0], VIPS[2]) == site.served
        async with site.running():
            assert text(VIPS[0], VIPS[2]) == site.served

    run(scenario())


def test_the_same_farm_removes(site: Site) -> None:
    """No VIPs from the farm that assigned them is an order."""

    async def scenario() -> None:
        async with site.running():
            site.director.assign()
            await asyncio.sleep(1)
            assert [] == site.served

    run(scenario())


def test_an_assignment_for_somebody_else_is_not_followed(site: Site) -> None:
    """It is told, and the host stays."""

    async def scenario() -> None:
        async with site.running():
            site.director.named = "rs7"
            site.director.assign()
            await asyncio.sleep(5)
            assert text(*VIPS[:2]) == site.served
            assert "'rs7' is not 'rs2'" in site.status.contact.problem

    run(scenario())
