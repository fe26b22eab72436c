"""Members of a pool: which servers serve, with what weight and tunnel, and the reasons."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.farm.compile import compile_service
from lvsctl.farm.members import Origin, PoolMember, ServerState, members, server_state
from lvsctl.farm.model import Pool, PoolTunnel, RealServer, Service
from lvsctl.farm.status import AdministrativeState, Agent, Override, Readiness, ServerId, Status
from lvsctl.ipvs.table import (
    DestinationConfig,
    DestinationKey,
    Encapsulation,
    Persistence,
    ServiceFlag,
    TunnelFlag,
    TunnelType,
    VirtualServiceConfig,
)
from lvsctl.messages.model import Membership
from lvsctl.net import IpProtocol
from lvsctl.reasons.reason import Reason
from lvsctl.reasons.servers import (
    AGENT_LEAVING,
    AGENT_LEFT,
    AGENT_NOT_READY,
    TUNNEL_PENDING,
    WEIGHT_OVERRIDDEN,
)
from lvsctl.reasons.servers import DISABLED as DISABLED_WHY
from lvsctl.reasons.servers import DRAINING as DRAINING_WHY
from tests.unit import strategies

VIP = IPv4Address("198.51.100.10")
RIP = IPv4Address("192.0.2.11")
RS1 = RealServer("rs1", RIP, 100)
POOL = Pool("web", real_servers=(RS1,))
ID = ServerId("web", "rs1")
IPIP = Encapsulation()
GRE = Encapsulation(TunnelType.GRE)
GUE = Encapsulation(TunnelType.GUE, 6080)
READY = frozenset({Readiness(VIP, IPIP)})
AGENT = Agent("rs1", RIP, ("web",), 7, Membership.JOINED, READY)
UNREADY = replace(AGENT, ready=frozenset())
LEAVING = replace(AGENT, membership=Membership.LEAVING)
LEFT = replace(AGENT, membership=Membership.LEFT)

ENABLED = AdministrativeState.ENABLED
DRAINING = AdministrativeState.DRAINING
DISABLED = AdministrativeState.DISABLED


def override(state: AdministrativeState, weight: int | None = None, reason: str = "") -> Override:
    """Return an operator's override."""
    return Override(state, weight, reason, "anna", datetime(2026, 1, 2, tzinfo=UTC))


# --- members --------------------------------------------------------------------------------


def test_a_declared_server_without_an_agent_is_a_member() -> None:
    """It does not need a report."""
    assert [PoolMember(ID, RIP, 100, Origin.DECLARED, IPIP)] == list(members(POOL, Status()))


def test_an_agent_at_a_declared_address_is_the_agent_of_that_server() -> None:
    """Whatever its name; name, weight and thresholds are those of the declaration."""
    server = RealServer("rs1", RIP, 100, 2000, 1500)
    agent = replace(AGENT, name="host-17")
    assert [PoolMember(ID, RIP, 100, Origin.DECLARED, IPIP, 2000, 1500, agent)] == list(
        members(replace(POOL, real_servers=(server,)), Status(agents={"host-17": agent}))
    )


def test_an_agent_at_another_address_is_an_additional_server() -> None:
    """It is listed after declared ones, with its own weight."""
    agent = Agent("rs9", IPv4Address("192.0.2.19"), ("web",), 7)
    assert [
        PoolMember(ID, RIP, 100, Origin.DECLARED, IPIP),
        PoolMember(ServerId("web", "rs9"), agent.address, 7, Origin.AGENT, IPIP, agent=agent),
    ] == list(members(POOL, Status(agents={"rs9": agent})))


def test_an_agent_of_another_pool_is_not_a_member() -> None:
    """Even at a declared address."""
    elsewhere = replace(AGENT, pools=("mail",))
    assert [None] == [member.agent for member in members(POOL, Status(agents={"rs1": elsewhere}))]


def test_an_agent_is_a_member_of_every_pool_that_it_joined() -> None:
    """One host may serve several services."""
    agent = replace(AGENT, pools=("web", "mail"))
    status = Status(agents={"rs1": agent})
    assert [["web/rs1"], ["mail/rs1"]] == [
        [str(member.id) for member in members(Pool(name), status)] for name in ("web", "mail")
    ]


@pytest.mark.parametrize(
    ("membership", "names"),
    [
        (Membership.JOINED, ["rs1"]),
        (Membership.LEAVING, ["rs1"]),
        (Membership.LEFT, []),
    ],
)
def test_an_undeclared_server_is_gone_when_its_agent_has_left(
    membership: Membership, names: list[str]
) -> None:
    """While the agent is leaving, the server is still there, to be drained."""
    status = Status(agents={"rs1": replace(AGENT, membership=membership)})
    assert names == [member.id.server for member in members(Pool("web"), status)]


def test_a_declared_server_keeps_the_record_of_an_agent_that_left() -> None:
    """So that the server does not return to the table."""
    assert [LEFT] == [member.agent for member in members(POOL, Status(agents={"rs1": LEFT}))]


def draining(note: str = "") -> Reason:
    return DRAINING_WHY(ID, until="", then="", note=note)


def awaited(tunnel: str) -> Reason:
    return AGENT_NOT_READY("rs1", vip=VIP, tunnel=tunnel)


# --- standing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "decision", "expected"),
    [
        (None, None, ServerState(100, (), IPIP)),
        (AGENT, None, ServerState(100, (), IPIP)),
        (None, override(ENABLED), ServerState(100, (), IPIP)),
        (None, override(ENABLED, 5), ServerState(5, (WEIGHT_OVERRIDDEN(ID, note=""),), IPIP)),
        (None, override(ENABLED, 0), ServerState(0, (WEIGHT_OVERRIDDEN(ID, note=""),), IPIP)),
        (
            None,
            override(ENABLED, 5, "new disk"),
            ServerState(5, (WEIGHT_OVERRIDDEN(ID, note="new disk"),), IPIP),
        ),
        (None, override(DRAINING), ServerState(0, (draining(),), IPIP)),
        (None, override(DRAINING, 5, "new disk"), ServerState(0, (draining("new disk"),), IPIP)),
        (None, override(DISABLED), ServerState(None, (DISABLED_WHY(ID, note=""),))),
        (
            None,
            override(DISABLED, 5, "new disk"),
            ServerState(None, (DISABLED_WHY(ID, note="new disk"),)),
        ),
        (AGENT, override(DRAINING), ServerState(0, (draining(),), IPIP)),
        (
            UNREADY,
            None,
            ServerState(None, (awaited("ipip"),), pending=True),
        ),
        (
            UNREADY,
            override(DRAINING),
            ServerState(None, (awaited("ipip"),), pending=True),
        ),
        (UNREADY, override(DISABLED), ServerState(None, (DISABLED_WHY(ID, note=""),))),
        (LEAVING, None, ServerState(0, (AGENT_LEAVING("rs1"),), IPIP)),
        (LEAVING, override(ENABLED, 5), ServerState(0, (AGENT_LEAVING("rs1"),), IPIP)),
        (LEAVING, override(DISABLED), ServerState(None, (DISABLED_WHY(ID, note=""),))),
        (
            replace(UNREADY, membership=Membership.LEAVING),
            None,
            ServerState(None, (awaited("ipip"),), pending=True),
        ),
        (
            LEFT,
            None,
            ServerState(None, (AGENT_LEFT("rs1"),)),
        ),
        (
            LEFT,
            override(DISABLED),
            ServerState(None, (AGENT_LEFT("rs1"),)),
        ),
    ],
)
def test_the_state_of_a_server(
    agent: Agent | None, decision: Override | None, expected: ServerState
) -> None:
    """By precedence: left, disabled, not ready, leaving, draining, run-time weight."""
    status = Status(
        overrides={ID: decision} if decision else {}, agents={"rs1": agent} if agent else {}
    )
    (member,) = members(POOL, status)
    assert expected == server_state(member, VIP, status)


def test_ready_for_another_vip_is_not_ready() -> None:
    """Packets for this VIP would loop or be dropped there."""
    elsewhere = frozenset({Readiness(IPv4Address("198.51.100.99"), IPIP)})
    status = Status(agents={"rs1": replace(AGENT, ready=elsewhere)})
    (member,) = members(POOL, status)
    assert server_state(member, VIP, status).weight is None


def pending(still_over: str) -> Reason:
    return TUNNEL_PENDING(ID, why=(awaited("gue:6080"),), tunnel=still_over)


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        ({IPIP}, ServerState(100, (pending("ipip"),), IPIP, pending=True)),
        ({IPIP, GUE}, ServerState(100, (), GUE)),
        ({GUE}, ServerState(100, (), GUE)),
        (
            {Encapsulation(TunnelType.GUE, 6081)},
            ServerState(
                100, (pending("gue:6081"),), Encapsulation(TunnelType.GUE, 6081), pending=True
            ),
        ),
        (
            set(),
            ServerState(None, (awaited("gue:6080"),), pending=True),
        ),
    ],
)
def test_a_server_keeps_the_old_tunnel_until_its_agent_is_ready_for_the_new_one(
    ready: set[Encapsulation], expected: ServerState
) -> None:
    """It keeps serving, with a reason; never over a tunnel that was not reported ready."""
    pool = replace(POOL, tunnel=PoolTunnel(TunnelType.GUE, 6080))
    readiness = frozenset(Readiness(VIP, encapsulation) for encapsulation in ready)
    status = Status(agents={"rs1": replace(AGENT, ready=readiness)})
    (member,) = members(pool, status)
    assert expected == server_state(member, VIP, status)


@pytest.mark.parametrize(
    ("agent", "decision", "weight", "why"),
    [
        (LEAVING, None, 0, AGENT_LEAVING("rs1")),
        (AGENT, override(DRAINING, reason="new disk"), 0, draining("new disk")),
        (AGENT, override(ENABLED, 5), 5, WEIGHT_OVERRIDDEN(ID, note="")),
    ],
)
def test_a_pending_server_keeps_its_other_reason(
    agent: Agent, decision: Override | None, weight: int, why: Reason
) -> None:
    """A draining server switches its tunnel like any other."""
    pool = replace(POOL, tunnel=PoolTunnel(TunnelType.GUE, 6080))
    status = Status({ID: decision} if decision else {}, {"rs1": agent})
    (member,) = members(pool, status)
    assert ServerState(weight, (why, pending("ipip")), IPIP, pending=True) == server_state(
        member, VIP, status
    )


def test_a_server_without_an_agent_switches_its_tunnel_at_once() -> None:
    """There is no report to wait for."""
    pool = replace(POOL, tunnel=PoolTunnel(TunnelType.GUE, 6080))
    (member,) = members(pool, Status())
    assert ServerState(100, (), GUE) == server_state(member, VIP, Status())


def test_a_servers_own_tunnel_replaces_the_pools() -> None:
    """As a whole; a server that joined by its agent has the pool's."""
    own = PoolTunnel(TunnelType.GRE, checksum=True, mtu=1400)
    pool = Pool("web", PoolTunnel(TunnelType.GUE, 6080), (replace(RS1, tunnel=own),))
    joined = Agent("rs9", IPv4Address("192.0.2.19"), ("web",), 7)
    checked = Encapsulation(TunnelType.GRE, 0, TunnelFlag.CHECKSUM)
    assert [(checked, own), (GUE, None)] == [
        (member.encapsulation, member.own_tunnel)
        for member in members(pool, Status(agents={"rs9": joined}))
    ]


def test_an_override_applies_to_one_pool() -> None:
    """A host drained in one pool serves in another."""
    other = Pool("mail", real_servers=(RS1,))
    status = Status(overrides={ID: override(DRAINING)})
    assert [0, 100] == [
        server_state(member, VIP, status).weight
        for pool in (POOL, other)
        for member in members(pool, status)
    ]


@given(strategies.good_farms().flatmap(strategies.statuses), st.data())
def test_a_server_has_a_reason_unless_it_serves_as_declared(
    status: Status, data: st.DataObject
) -> None:
    """Every visible deviation has its reason, and nothing else has one."""
    pool = data.draw(strategies.good_pools("blue"))
    for member in members(pool, status):
        decision = server_state(member, data.draw(strategies.VIPS), status)
        override_ = status.overrides.get(member.id)
        if not decision.reasons:
            assert member.weight == decision.weight
            assert not override_ or override_.state is ENABLED
        else:
            assert override_ or member.agent


# --- compile_service ------------------------------------------------------------------------

SERVICE = Service("web", VIP, "web", ports=(80,))


def configs(service: Service) -> set[VirtualServiceConfig]:
    """Return the configurations of a service's virtual services."""
    return {entry.config for entry in compile_service(service, POOL, Status()).values()}


STICKY = Persistence(300, 32)
FALLBACK = ServiceFlag.SCHED1
PORT = ServiceFlag.SCHED2


@pytest.mark.parametrize(
    ("scheduler", "flags", "persistence", "expected"),
    [
        ("wlc", None, None, ServiceFlag(0)),
        ("mh", None, None, FALLBACK | PORT),
        ("mh", None, STICKY, FALLBACK),
        ("mh", frozenset(), None, ServiceFlag(0)),
        ("mh", frozenset({"mh-port"}), STICKY, PORT),
        ("mh", frozenset({"mh-fallback"}), None, FALLBACK),
        ("sh", None, None, FALLBACK),
        ("sh", None, STICKY, FALLBACK),
        ("sh", frozenset({"sh-port", "sh-fallback"}), None, FALLBACK | PORT),
        ("sh", frozenset({"sh-fallback"}), None, FALLBACK),
        ("rr", frozenset({"ops"}), None, ServiceFlag.ONE_PACKET),
    ],
)
def test_a_services_flags(
    scheduler: str,
    flags: frozenset[str] | None,
    persistence: Persistence | None,
    expected: ServiceFlag,
) -> None:
    """The declared ones, else the scheduler's default; with persistence without mh-port."""
    service = replace(SERVICE, scheduler=scheduler, flags=flags, persistence=persistence)
    assert {VirtualServiceConfig(scheduler, expected, persistence)} == configs(service)


def test_thresholds_and_tunnel_are_compiled_to_the_destination() -> None:
    """From the pool and from the server."""
    server = RealServer("rs1", RIP, 5, upper_threshold=20, lower_threshold=10)
    pool = Pool("web", PoolTunnel(TunnelType.GRE), (server,))
    (entry,) = compile_service(SERVICE, pool, Status()).values()
    assert {
        DestinationKey(RIP, 80): DestinationConfig(
            5, encapsulation=Encapsulation(TunnelType.GRE), upper_threshold=20, lower_threshold=10
        )
    } == entry.destinations


def test_a_firewall_mark_service_has_one_key() -> None:
    """Its destinations have port 0."""
    service = replace(SERVICE, ports=(), protocol=None, fwmark=7)
    table = compile_service(service, POOL, Status())
    assert ["fwmark 7"] == [str(key) for key in table]
    assert [0] == [key.port for entry in table.values() for key in entry.destinations]


def test_a_service_with_two_ports_has_two_keys() -> None:
    """In the order of the farm file."""
    table = compile_service(
        replace(SERVICE, ports=(443, 80), protocol=IpProtocol.UDP), POOL, Status()
    )
    assert ["udp 198.51.100.10:443", "udp 198.51.100.10:80"] == [str(key) for key in table]
