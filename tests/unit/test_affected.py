"""The law of rules that look only at what changes bear on: they find what all rules find."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st

from lvsctl.director.state import State
from lvsctl.director.write.validity import Validity, rules_broken_by
from lvsctl.farm.checks import HealthCheck, HttpRequest
from lvsctl.farm.model import Director, Farm, MarkRange, Pool, PoolTunnel, Service, Settings
from lvsctl.farm.objects import Changes, Directors, Kind, ObjectId, StoredObject
from lvsctl.farm.rules.farm import BrokenRule, broken_rules
from lvsctl.farm.status import Agent, Readiness, Status
from lvsctl.ipvs.table import Encapsulation, TunnelFlag, TunnelType
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress
from tests.unit import strategies

# A VIP or a server may be at any of them, so that changes often break a rule.
ADDRESSES = st.sampled_from(
    [*(IPv4Address(f"192.0.2.{n}") for n in (11, 12, 13)), IPv6Address("2001:db8::11")]
) | st.sampled_from([IPv4Address("198.51.100.10"), IPv4Address("198.51.100.11")])
POOLS = st.sampled_from(["blue", "green"])
CHECKS = st.lists(
    st.sampled_from([HealthCheck(HttpRequest(), port) for port in (None, 80, 443)]), max_size=2
).map(tuple)
TUNNELS = (*strategies.TUNNELS, PoolTunnel(mtu=1000), PoolTunnel(TunnelType.GUE, 443))
GRE = [
    Readiness(IPv4Address("198.51.100.10"), Encapsulation(TunnelType.GRE, 0, flags))
    for flags in (TunnelFlag(0), TunnelFlag.CHECKSUM)
]


@st.composite
def services(draw: st.DrawFn, name: str) -> Service:
    """Draw a service that is in order by itself."""
    service = draw(strategies.good_services(name, draw(ADDRESSES), draw(st.integers(1, 2))))
    return replace(service, sorry_server=draw(st.none() | ADDRESSES))


@st.composite
def pools(draw: st.DrawFn, name: str) -> Pool:
    """Draw a pool that is in order by itself, nearly always."""
    pool = draw(strategies.good_pools(name, TUNNELS))
    servers = tuple(
        replace(server, address=draw(ADDRESSES)) if draw(st.booleans()) else server
        for server in pool.real_servers
    )
    return replace(pool, real_servers=servers, health_checks=draw(CHECKS))


@st.composite
def agents(draw: st.DrawFn, name: str) -> Agent:
    """Draw an agent that is in order by itself."""
    return Agent(
        name,
        draw(ADDRESSES),
        tuple(draw(st.lists(POOLS, unique=True))),
        1,
        draw(st.sampled_from(Membership)),
        frozenset(draw(st.lists(st.sampled_from(GRE), max_size=1))),
    )


SINGLE: Mapping[ObjectId, st.SearchStrategy[StoredObject]] = {
    ObjectId(Kind.DIRECTORS): ADDRESSES.map(lambda each: Directors((Director("lb", (each,)),))),
    ObjectId(Kind.SETTINGS): st.just(Settings(probe_marks=MarkRange(1, 1))),
}


@st.composite
def commits(draw: st.DrawFn) -> Changes:
    """Draw a commit that changes one object, or a few."""
    by_name = {
        **{ObjectId(Kind.SERVICE, name): services(name) for name in ("s1", "s2", "s3")},
        **{ObjectId(Kind.POOL, name): pools(name) for name in ("blue", "green")},
        **{ObjectId(Kind.AGENT, name): agents(name) for name in ("rs11", "rs12", "other")},
        **SINGLE,
    }
    names = draw(st.lists(st.sampled_from(sorted(by_name)), min_size=1, max_size=3, unique=True))
    return {name: draw(by_name[name]) if draw(st.integers(0, 4)) else None for name in names}


TAKEN = st.dictionaries(ADDRESSES, st.just("the gateway on eth0"), max_size=1)


def all_broken(state: State, taken: Mapping[IPAddress, str]) -> list[BrokenRule]:
    """Return what the rules find when they go through everything."""
    return [*broken_rules(state.farm, taken, state.status.agents.values())]


@settings(max_examples=400)
@given(strategies.good_farms(), st.lists(st.tuples(commits(), TAKEN), min_size=1, max_size=8))
def test_what_changes_bear_on_is_all_that_rules_need_to_see(
    farm: Farm, history: list[tuple[Changes, Mapping[IPAddress, str]]]
) -> None:
    """From any valid state, through any commits that keep to the rules, to any other."""
    state, valid = State("farm", 1, 0, {}, farm, Status()), Validity({})
    for changes, taken in history:
        after = state.after(changes, state.revision + 1)
        since = valid.after(changes)

        found = rules_broken_by(after, taken, since)

        assert all_broken(after, taken) == [*found]
        if not found:
            state, valid = after, Validity(taken)
