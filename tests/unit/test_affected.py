"""The law of rules that look only at what changes bear on: they find what all rules find."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lvsctl.director.state import State
from lvsctl.director.write.validity import Validity, rules_broken_by
from lvsctl.farm.checks import HealthCheck, HttpRequest
from lvsctl.farm.model import (
    Director,
    Farm,
    MarkRange,
    Pool,
    PoolTunnel,
    RealServer,
    Service,
    Settings,
)
from lvsctl.farm.objects import Changes, Directors, Kind, ObjectId, StoredObject
from lvsctl.farm.rules.farm import BrokenRule, broken_rules
from lvsctl.farm.status import Agent, Readiness, Status
from lvsctl.ipvs.table import TunnelType
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress, IpProtocol

# Little to choose from, so that objects have much to do with each other.
RIPS = [IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12"), IPv6Address("2001:db8::11")]
VIPS = [IPv4Address("198.51.100.10"), IPv4Address("198.51.100.11")]
ADDRESSES = st.sampled_from(RIPS + VIPS)
MOSTLY_RIPS, MOSTLY_VIPS = st.sampled_from(RIPS * 4 + VIPS), st.sampled_from(VIPS * 6 + RIPS)
SERVER_NAMES = st.sampled_from(["rs1", "rs2"])
ON_EVERY_PORT, ON_80 = (HealthCheck(HttpRequest(), port) for port in (None, 80))
CHECKS = st.sampled_from([(), (ON_EVERY_PORT,), (ON_80,), (ON_80, ON_EVERY_PORT)])
GRE, GRE_WITH_CHECKSUM = PoolTunnel(TunnelType.GRE), PoolTunnel(TunnelType.GRE, checksum=True)
TUNNELS = st.sampled_from(
    [
        PoolTunnel(),
        *[GRE, GRE_WITH_CHECKSUM] * 3,
        PoolTunnel(TunnelType.GUE, 443),
        PoolTunnel(mtu=1000),
    ]
)
OWN_TUNNELS = st.sampled_from([None, None, GRE, PoolTunnel(mtu=1000)])
SELECTORS = st.sampled_from(
    [
        (IpProtocol.TCP, (80,), None),
        (IpProtocol.TCP, (443, 80), None),
        (IpProtocol.UDP, (443,), None),
        (None, (), 1),
    ]
)
READY = st.sampled_from(
    [
        frozenset[Readiness](),
        *(
            frozenset({Readiness(VIPS[0], tunnel.encapsulation)})
            for tunnel in (GRE, GRE_WITH_CHECKSUM)
        ),
    ]
)
FARM = Farm(
    {"s1": Service("s1", VIPS[0], "blue", ports=(80,))},
    {
        "blue": Pool("blue", real_servers=(RealServer("rs1", RIPS[0]),)),
        "green": Pool("green", real_servers=(RealServer("rs2", RIPS[1]),)),
    },
)


@st.composite
def services(draw: st.DrawFn, name: str) -> Service:
    """Draw a service that is in order by itself."""
    protocol, ports, fwmark = draw(SELECTORS)
    pool, sorry_server = draw(st.sampled_from(["blue", "green"])), draw(st.none() | MOSTLY_RIPS)
    vip = draw(MOSTLY_VIPS)
    return Service(name, vip, pool, protocol, ports, fwmark, sorry_server=sorry_server)


@st.composite
def pools(draw: st.DrawFn, name: str) -> Pool:
    """Draw a pool whose servers are in order by themselves."""
    drawn = st.tuples(
        SERVER_NAMES, MOSTLY_RIPS, st.sampled_from([None, None, GRE, PoolTunnel(mtu=1000)])
    )
    servers = draw(st.lists(drawn, max_size=2, unique_by=(lambda s: s[0], lambda s: s[1])))
    return Pool(
        name,
        draw(TUNNELS),
        tuple(RealServer(name, address, tunnel=tunnel) for name, address, tunnel in servers),
        draw(CHECKS),
    )


@st.composite
def agents(draw: st.DrawFn, name: str) -> Agent:
    """Draw an agent that is in order by itself."""
    joined = draw(st.sampled_from([("blue",), ("green",), ("blue", "green"), ()]))
    membership = draw(st.sampled_from([Membership.JOINED, Membership.LEFT]))
    return Agent(name, draw(MOSTLY_RIPS), joined, 1, membership, draw(READY))


SINGLE: Mapping[ObjectId, st.SearchStrategy[StoredObject]] = {
    ObjectId(Kind.DIRECTORS): ADDRESSES.map(lambda each: Directors((Director("lb", (each,)),))),
    ObjectId(Kind.SETTINGS): st.just(Settings(probe_marks=MarkRange(1, 1))),
}


BY_NAME = {
    **{ObjectId(Kind.SERVICE, name): services(name) for name in ("s1", "s2", "s3")},
    **{ObjectId(Kind.POOL, name): pools(name) for name in ("blue", "green")},
    **{ObjectId(Kind.AGENT, name): agents(name) for name in ("rs1", "rs2")},
    **SINGLE,
}


@st.composite
def commits(draw: st.DrawFn) -> Changes:
    """Draw a commit that changes one object, or two."""
    sizes = st.sampled_from([1, 1, 1, 2])
    names = draw(st.permutations(sorted(BY_NAME)))[: draw(sizes)]
    return {name: draw(BY_NAME[name]) if draw(st.integers(0, 4)) else None for name in names}


TAKEN = st.dictionaries(ADDRESSES, st.just("the gateway on eth0"), max_size=1)


def all_broken(state: State, taken: Mapping[IPAddress, str]) -> list[BrokenRule]:
    """Return what the rules find when they go through everything."""
    return [*broken_rules(state.farm, taken, state.status.agents.values())]


def over(tunnel: PoolTunnel, name: str, *servers: RealServer) -> Changes:
    """Return a commit of a pool over a tunnel."""
    return {ObjectId(Kind.POOL, name): Pool(name, tunnel, servers)}


def joined(name: str, *pools: str, ready: PoolTunnel | None = None) -> Changes:
    """Return a commit of an agent on the host that both pools of the examples share."""
    readiness = {Readiness(VIPS[0], ready.encapsulation)} if ready else set()
    agent = Agent(name, RIPS[2], pools, 1, ready=frozenset(readiness))
    return {ObjectId(Kind.AGENT, name): agent}


SHARED = RealServer("rs1", RIPS[2])


@example([(over(GRE, "blue", SHARED), {}), (over(GRE_WITH_CHECKSUM, "green", SHARED), {})])
@example([(over(GRE, "blue", SHARED), {}), (joined("rs1", "green", ready=GRE_WITH_CHECKSUM), {})])
@example([(joined("rs1", "blue", ready=GRE), {}), (over(GRE_WITH_CHECKSUM, "green", SHARED), {})])
@example(
    [
        (over(GRE, "blue"), {}),
        (joined("rs1", "blue"), {}),
        (over(GRE_WITH_CHECKSUM, "green", SHARED), {}),
    ]
)
@example(
    [
        (over(GRE, "blue"), {}),
        (over(GRE_WITH_CHECKSUM, "green"), {}),
        (joined("rs1", "blue", "green"), {}),
    ]
)
@settings(max_examples=500)
@given(st.lists(st.tuples(commits(), TAKEN), min_size=1, max_size=12))
def test_what_changes_bear_on_is_all_that_rules_need_to_see(
    history: list[tuple[Changes, Mapping[IPAddress, str]]],
) -> None:
    """From any valid state, through any commits that keep to the rules, to any other."""
    state, valid = State("farm", 1, 0, {}, FARM, Status()), Validity({})
    for changes, taken in history:
        after = state.after(changes, state.revision + 1)

        found = rules_broken_by(after, taken, valid.after(changes))

        assert all_broken(after, taken) == [*found]
        if not found:
            state, valid = after, Validity(taken)
