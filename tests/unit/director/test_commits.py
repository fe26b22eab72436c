"""Edits become commits: what is checked, what is stored, what is woken."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv6Address

import pytest

from lvsctl.director.agents.edits import AcceptReport, RegisterAgent, RemoveAgent
from lvsctl.director.write.committer import Committer, EditContext
from lvsctl.director.write.edits import (
    DeleteObject,
    DeleteOverride,
    DeleteRealServer,
    Edit,
    PutFarm,
    PutObject,
    PutOverride,
    PutRealServer,
)
from lvsctl.errors import Conflict, DrasticChange, InvalidInput, NotFound, StaleRevision
from lvsctl.farm.checks import HealthCheck, HttpRequest
from lvsctl.farm.members import members
from lvsctl.farm.model import Farm, PoolTunnel, RealServer, Settings
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.rules import health
from lvsctl.farm.status import AdministrativeState, Override, Readiness, ServerId
from lvsctl.ipvs.table import Encapsulation, TunnelType
from lvsctl.messages.model import Membership, Registration, Report, Tunnel
from lvsctl.store.memory import MemoryStore
from tests.unit.director.farms import OTHER_VIP, POOL_ID, VIP, WEB_ID, pool, rip, web

ALONE = EditContext()
FARM = Farm({"web": web()}, {"web": pool(1, 2)})
DRAINING = Override(
    AdministrativeState.DRAINING, None, "disk", "operator", datetime(2026, 1, 1, tzinfo=UTC)
)
TWIN = replace(web(), name="b")
BADLY_NAMED = replace(pool(1), real_servers=(RealServer("x y", rip(1)),))
MISSING = ObjectId(Kind.POOL, "x")
RS1 = ServerId("web", "rs1")


@pytest.fixture
def commits() -> Committer:
    commits = Committer(MemoryStore())
    commits.commit(PutFarm(FARM), {}, "test", ALONE)
    return commits


def joined(number: int = 1, **fields: object) -> RegisterAgent:
    registration = Registration(rip(number), ("web",))
    return RegisterAgent(f"rs{number}", replace(registration, **fields))  # type: ignore[arg-type]


def ready(commits: Committer, number: int = 1, farm_id: str | None = None) -> AcceptReport:
    report = Report(farm_id or commits.state.farm_id, (VIP,), (Tunnel("ipip"),))
    return AcceptReport(f"rs{number}", report)


@pytest.fixture
def upgraded(monkeypatch: pytest.MonkeyPatch) -> Committer:
    """A director over a farm with a pattern that an earlier one has let in."""
    request = HttpRequest(body="(?=ok)")
    old = replace(pool(1, 2), health_checks=(HealthCheck(request, port=80),))
    commits = Committer(MemoryStore())
    with monkeypatch.context() as earlier:
        earlier.setattr(health, "compiled", lambda _: None)
        commits.commit(PutFarm(replace(FARM, pools={"web": old})), {}, "test", ALONE)
    return commits


def test_what_an_earlier_director_has_let_in_keeps_no_agent_out(upgraded: Committer) -> None:
    """It joins, reports and leaves: none of that is about the farm."""
    for edit in (joined(), ready(upgraded), RemoveAgent("rs1")):
        assert upgraded.commit(edit, {}, "test", ALONE).changed


def test_an_agent_that_breaks_a_rule_itself_is_kept_out(upgraded: Committer) -> None:
    """Whatever else is wrong already."""
    with pytest.raises((InvalidInput, Conflict)):
        upgraded.commit(RegisterAgent("x y", Registration(rip(3), ("web",))), {}, "test", ALONE)


def test_a_farm_with_such_a_pattern_takes_no_other_edit(upgraded: Committer) -> None:
    """The one who edits it reads what to mend."""
    with pytest.raises(InvalidInput, match="regular expression"):
        upgraded.commit(PutObject(WEB_ID, web(OTHER_VIP)), {}, "test", ALONE)


def test_a_farm_is_stored_whole(commits: Committer) -> None:
    """After the commit the state holds the farm, and the objects' revisions."""
    assert FARM == commits.state.farm
    assert (1, 1) == (commits.state.revision, commits.state.revisions[WEB_ID])


def test_the_state_is_what_the_store_holds() -> None:
    """A second director over the same store has the same state."""
    store = MemoryStore()
    first = Committer(store)
    first.commit(PutFarm(FARM), {}, "test", ALONE)
    first.commit(joined(), {}, "test", ALONE)
    first.commit(PutOverride(RS1, DRAINING), {}, "test", ALONE)

    assert first.state == Committer(store).state


def test_an_edit_that_changes_nothing_stores_nothing(commits: Committer) -> None:
    """The revision stays; who waits for it still waits for the services that it is about."""
    written = commits.commit(PutObject(WEB_ID, web()), {}, "test", ALONE)

    assert (False, 1, ()) == (written.changed, written.revision, written.operations)
    assert {"web"} == written.dirty


def test_a_dry_run_says_what_it_would_do_and_stores_nothing(commits: Committer) -> None:
    """Changes and operations are those of the real thing."""
    edit = PutObject(WEB_ID, web(OTHER_VIP))

    dry = commits.dry_run(edit, {}, ALONE)

    assert FARM == commits.state.farm
    wet = commits.commit(edit, {}, "test", ALONE)
    assert (dry.changes, dry.operations) == (wet.changes, wet.operations)
    assert ("change service web",) == dry.changes
    assert "add service tcp 198.51.100.20:80 rr" == dry.operations[0]
    assert "delete service tcp 198.51.100.10:80" == dry.operations[-1]


@pytest.mark.parametrize(
    ("edit", "pointer"),
    [
        (PutFarm(replace(FARM, services={"web": web(), "b": TWIN})), "/services/1/ports/0"),
        (PutFarm(replace(FARM, pools={"web": BADLY_NAMED})), "/pools/0/real_servers/0/name"),
        (PutFarm(replace(FARM, settings=Settings(tcp_timeout_s=0))), "/settings/timeouts/tcp"),
        (PutObject(WEB_ID, web(scheduler="best")), "/scheduler"),
        (PutObject(WEB_ID, web(pool="none")), "/pool"),
        (PutObject(POOL_ID, replace(pool(1), real_servers=(RealServer("rs1", VIP),))), ""),
        (PutRealServer("web", RealServer("rs1", rip(1), weight=-1)), "/weight"),
        (PutRealServer("web", RealServer("rs9", rip(2))), "/address"),
        (joined(9, address=VIP), "/address"),
        (joined(pools=("web", "nope")), "/pools/1"),
    ],
)  # fmt: skip
def test_a_broken_rule_points_into_the_request(
    commits: Committer, edit: Edit, pointer: str
) -> None:
    """The pointer is one of the document that was sent, and nothing is stored."""
    before = commits.state

    with pytest.raises(InvalidInput) as caught:
        commits.commit(edit, {}, "test", ALONE)

    assert pointer in [problem.pointer for problem in caught.value.problems]
    assert before is commits.state


def test_a_vip_that_is_in_use_outside_the_farm_is_refused(commits: Committer) -> None:
    """The director's own addresses and gateways are known at run time only."""
    with pytest.raises(InvalidInput, match="the gateway on eth0"):
        commits.commit(
            PutObject(WEB_ID, web(OTHER_VIP)),
            {},
            "test",
            EditContext({OTHER_VIP: "the gateway on eth0"}),
        )


def test_an_override_can_be_set_in_a_farm_that_breaks_a_rule(commits: Committer) -> None:
    """Draining must work at 3 a.m. even where something unrelated is wrong."""
    commits.commit(
        PutOverride(RS1, DRAINING), {}, "test", EditContext({VIP: "the gateway on eth0"})
    )

    assert {RS1: DRAINING} == commits.state.status.overrides


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (DeleteObject(ObjectId(Kind.SERVICE, "no")), NotFound),
        (DeleteObject(POOL_ID), Conflict),
        (DeleteRealServer(ServerId("web", "rs9")), NotFound),
        (DeleteRealServer(ServerId("no", "rs1")), NotFound),
        (PutOverride(ServerId("web", "rs9"), DRAINING), NotFound),
        (RemoveAgent("rs9"), NotFound),
        (joined(1, address=rip(2)), Conflict),
    ],
)
def test_what_the_state_forbids(commits: Committer, edit: Edit, error: type[Exception]) -> None:
    """Missing things are NotFound, wrong moments are Conflict."""
    with pytest.raises(error):
        commits.commit(edit, {}, "test", ALONE)


def test_an_agent_of_any_name_is_that_of_the_server_at_its_address(commits: Committer) -> None:
    """The address tells which declared server an agent belongs to; a second agent is refused."""
    commits.commit(RegisterAgent("host-7", Registration(rip(1), ("web",))), {}, "test", ALONE)

    found = members(commits.state.farm.pools["web"], commits.state.status)
    assert ["host-7", None] == [member.agent and member.agent.name for member in found]
    with pytest.raises(Conflict, match="agent host-7 of pool web"):
        commits.commit(RegisterAgent("host-8", Registration(rip(1), ("web",))), {}, "test", ALONE)


def test_compare_and_set(commits: Committer) -> None:
    """Of two writers who saw one revision the second loses; a new object must not stand."""
    commits.commit(PutObject(WEB_ID, web(scheduler="lc")), {WEB_ID: 1}, "first", ALONE)

    with pytest.raises(StaleRevision, match="at revision 2, not 1"):
        commits.commit(PutObject(WEB_ID, web(scheduler="wrr")), {WEB_ID: 1}, "second", ALONE)
    with pytest.raises(StaleRevision, match="exists already"):
        commits.commit(PutObject(WEB_ID, web()), {WEB_ID: 0}, "third", ALONE)
    with pytest.raises(StaleRevision, match="does not exist"):
        commits.commit(
            DeleteObject(ObjectId(Kind.POOL, "x")), {ObjectId(Kind.POOL, "x"): 4}, "4", ALONE
        )
    assert "lc" == commits.state.farm.services["web"].scheduler


def test_no_agent_can_be_at_a_directors_address(commits: Committer) -> None:
    """A director cannot tunnel to itself."""
    with pytest.raises(InvalidInput, match=r"/address: 192\.0\.2\.11 is the address of lb1"):
        commits.commit(joined(), {}, "test", EditContext({rip(1): "lb1"}))


@pytest.mark.parametrize(
    "farm",
    [
        Farm({}, {"web": pool(1, 2)}),
        Farm({"web": web()}, {"web": pool(3)}),
        Farm({"web": web()}, {"web": pool()}),
    ],
)
def test_a_drastic_change_needs_force(commits: Committer, farm: Farm) -> None:
    """It is refused with its plan, and made when forced."""
    with pytest.raises(DrasticChange) as caught:
        commits.commit(PutFarm(farm), {}, "test", ALONE)

    assert caught.value.plan
    commits.commit(PutFarm(farm, force=True), {}, "test", ALONE)
    assert farm == commits.state.farm


def test_overrides_and_agents_survive_a_new_farm(commits: Committer) -> None:
    """Apply does not undrain, and does not forget who joined."""
    commits.commit(joined(), {}, "test", ALONE)
    commits.commit(PutOverride(RS1, DRAINING), {}, "test", ALONE)

    commits.commit(PutFarm(Farm({"web": web()}, {"web": pool(1)})), {}, "test", ALONE)

    assert ([RS1], ["rs1"]) == (
        list(commits.state.status.overrides),
        list(commits.state.status.agents),
    )
    commits.commit(DeleteOverride(RS1), {}, "test", ALONE)
    assert {} == commits.state.status.overrides


def test_readiness_latches_for_what_is_needed_only(commits: Committer) -> None:
    """A report of another farm latches nothing, and a VIP that went must be reported anew."""
    commits.commit(joined(), {}, "test", ALONE)
    commits.commit(ready(commits, farm_id="another"), {}, "test", ALONE)
    assert frozenset() == commits.state.status.agents["rs1"].ready

    commits.commit(ready(commits), {}, "test", ALONE)
    latched = frozenset({Readiness(VIP, Encapsulation())})
    assert latched == commits.state.status.agents["rs1"].ready

    commits.commit(PutObject(WEB_ID, web(OTHER_VIP)), {}, "test", ALONE)
    assert frozenset() == commits.state.status.agents["rs1"].ready


def test_readiness_over_the_old_tunnel_lasts_until_the_new_one_is_reported(
    commits: Committer,
) -> None:
    """For each VIP by itself: what the agent does not say yet costs no server its connections."""
    commits.commit(joined(), {}, "test", ALONE)
    commits.commit(ready(commits), {}, "test", ALONE)
    commits.commit(
        PutObject(ObjectId(Kind.SERVICE, "b"), replace(web(OTHER_VIP), name="b")), {}, "test", ALONE
    )
    over_gue = replace(pool(1, 2), tunnel=PoolTunnel(TunnelType.GUE, 6080))
    ipip, gue = Encapsulation(), over_gue.tunnel.encapsulation

    commits.commit(PutObject(POOL_ID, over_gue), {}, "test", ALONE)
    assert {Readiness(VIP, ipip)} == commits.state.status.agents["rs1"].ready

    farm_id = commits.state.farm_id
    other = Report(farm_id, (OTHER_VIP,), (Tunnel("gue", 6080), Tunnel("ipip")))
    commits.commit(AcceptReport("rs1", other), {}, "test", ALONE)
    assert {
        Readiness(VIP, ipip),
        Readiness(OTHER_VIP, gue),
    } == commits.state.status.agents["rs1"].ready

    both = Report(farm_id, (VIP, OTHER_VIP), (Tunnel("gue", 6080), Tunnel("ipip")))
    commits.commit(AcceptReport("rs1", both), {}, "test", ALONE)
    assert {
        Readiness(VIP, gue),
        Readiness(OTHER_VIP, gue),
    } == commits.state.status.agents["rs1"].ready


def test_an_agent_that_left_must_report_ready_again(commits: Committer) -> None:
    """Leaving keeps what is latched until it has left; joining again starts anew."""
    commits.commit(joined(), {}, "test", ALONE)
    commits.commit(ready(commits), {}, "test", ALONE)

    commits.commit(joined(membership=Membership.LEAVING), {}, "test", ALONE)
    assert commits.state.status.agents["rs1"].ready

    commits.commit(joined(membership=Membership.LEFT), {}, "test", ALONE)
    commits.commit(joined(), {}, "test", ALONE)
    assert frozenset() == commits.state.status.agents["rs1"].ready


@pytest.mark.parametrize(
    ("edit", "dirty"),
    [
        (PutObject(WEB_ID, web(scheduler="lc")), {"web"}),
        (PutRealServer("web", RealServer("rs1", rip(1), 5)), {"web"}),
        (PutOverride(RS1, DRAINING), {"web"}),
        (joined(), {"web"}),
        (PutObject(ObjectId(Kind.POOL, "new"), replace(pool(3), name="new")), set()),
        (PutObject(ObjectId(Kind.SETTINGS), Settings(tcp_timeout_s=60)), None),
    ],
)
def test_an_edit_wakes_the_services_it_bears_on(
    commits: Committer, edit: Edit, dirty: set[str] | None
) -> None:
    """The cost of a change does not grow with the table; settings concern everything."""
    written = commits.commit(edit, {}, "test", ALONE)

    assert dirty == written.dirty


@pytest.mark.parametrize("name", ["web", "b"])
def test_a_firewall_mark_keeps_its_vip(commits: Committer, name: str) -> None:
    """Under whatever name: the kernel would switch at once. Only a forced farm may do that."""
    marked = replace(web(), protocol=None, ports=(), fwmark=7)
    commits.commit(PutObject(WEB_ID, marked), {}, "test", ALONE)
    moved = replace(marked, name=name, vip=OTHER_VIP)
    farm = replace(FARM, services={name: moved})

    edits = [PutFarm(farm), *([PutObject(WEB_ID, moved)] if name == "web" else [])]
    for edit in edits:
        with pytest.raises(Conflict, match=f"service {name} would move fwmark 7 from {VIP}"):
            commits.commit(edit, {}, "test", ALONE)
    assert marked == commits.state.value(WEB_ID)
    commits.commit(PutFarm(farm, force=True), {}, "test", ALONE)
    assert farm == commits.state.farm


def test_one_mark_may_stand_for_a_vip_of_each_family(commits: Committer) -> None:
    """They are two virtual services to the kernel: a change of one moves nothing."""
    marked = replace(web(), protocol=None, ports=(), fwmark=7)
    commits.commit(PutObject(WEB_ID, marked), {}, "test", ALONE)
    twin = replace(marked, name="b", vip=IPv6Address("2001:db8::10"))
    commits.commit(PutObject(ObjectId(Kind.SERVICE, "b"), twin), {}, "test", ALONE)

    changed = replace(marked, scheduler="wrr")
    assert commits.commit(PutObject(WEB_ID, changed), {}, "test", ALONE).changed


def test_a_service_that_had_ports_may_have_a_mark_on_another_vip(commits: Committer) -> None:
    """Its keys differ, so that the old one is held until the new one serves."""
    moved = replace(web(), protocol=None, ports=(), fwmark=7, vip=OTHER_VIP)
    assert commits.commit(PutObject(WEB_ID, moved), {}, "test", ALONE).changed
