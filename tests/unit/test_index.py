"""The law of what is derived from a state: kept as objects change, it equals what is made anew."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.director.checks.paths import tunnel_path
from lvsctl.director.state import State, contents_of, state_of
from lvsctl.farm.checks import HealthCheck, HttpRequest
from lvsctl.farm.compile import service_keys
from lvsctl.farm.index import Index
from lvsctl.farm.members import members
from lvsctl.farm.model import Farm, Pool, Service
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.status import EPOCH, Agent, Status
from tests.unit import strategies

EMPTY = State("farm", 1, 0, {}, Farm(), Status())
SORRY = IPv4Address("192.0.2.99")


@st.composite
def changes(draw: st.DrawFn) -> Changes:
    """Draw a commit over few names, so that most objects change often, and go and return."""
    farm = draw(strategies.good_farms())
    pools = {
        name: replace(
            pool, health_checks=draw(st.sampled_from([(), (HealthCheck(HttpRequest()),)]))
        )
        for name, pool in farm.pools.items()
    }
    services = {
        name: replace(
            service,
            sorry_server=draw(st.sampled_from([None, SORRY])),
            pool=draw(st.sampled_from(["blue", "green", "missing"])),
        )
        for name, service in farm.services.items()
    }
    status = draw(strategies.statuses(farm))
    objects = [
        *((ObjectId(Kind.POOL, name), pool) for name, pool in pools.items()),
        *((ObjectId(Kind.SERVICE, name), service) for name, service in services.items()),
        *((ObjectId(Kind.AGENT, name), agent) for name, agent in status.agents.items()),
        *((ObjectId(Kind.OVERRIDE, str(name)), each) for name, each in status.overrides.items()),
        (ObjectId(Kind.SETTINGS), farm.settings),
    ]
    return {
        object_id: value if draw(st.booleans()) else None
        for object_id, value in draw(st.permutations(objects))
        if draw(st.booleans())
    }


histories = st.lists(changes(), min_size=1, max_size=4)


def state_after(history: Sequence[Changes]) -> State:
    """Return the state that commits lead to, one after the other."""
    state = EMPTY
    for each in history:
        state = state.after(each, state.revision + 1)
    return state


@given(histories)
def test_updated_equals_made_anew(history: Sequence[Changes]) -> None:
    """Index, agents of each pool and paths of probes, after any commits."""
    kept = state_after(history)
    anew = replace(kept, status=Status(kept.status.overrides, kept.status.agents))

    assert anew.index == kept.index
    assert anew.status.agents_by_pool == kept.status.agents_by_pool
    assert anew.paths_by_pool == kept.paths_by_pool
    assert anew.tunnel_paths == kept.tunnel_paths


@given(histories)
def test_health_derives_nothing_anew(history: Sequence[Changes]) -> None:
    """A state as it was loaded goes through its objects once, however often health is looked at."""
    loaded = state_of(contents_of(state_after(history)))
    first, second = (loaded.seen({}, EPOCH) for _ in range(2))

    assert first.index is second.index
    assert first.paths_by_pool is second.paths_by_pool
    assert first.tunnel_paths is second.tunnel_paths
    assert first.status.agents_by_pool is second.status.agents_by_pool


@given(histories)
def test_what_others_hold_stays_as_it_is(history: Sequence[Changes]) -> None:
    """An earlier state is a value: a later one takes nothing from it."""
    before = state_after(history[:-1])
    index, agents, paths = before.index, dict(before.status.agents_by_pool), before.paths_by_pool
    anew = replace(before, status=Status(before.status.overrides, before.status.agents))

    before.after(history[-1], before.revision + 1)

    assert (anew.index, anew.paths_by_pool) == (index, paths)
    assert agents == anew.status.agents_by_pool


@given(histories)
def test_the_index_is_what_a_walk_finds(history: Sequence[Changes]) -> None:
    """Each part of it, looked up by going through all objects."""
    state = state_after(history)
    services, pools = state.farm.services.values(), state.farm.pools.values()
    agents = state.status.agents.values()

    assert state.index == Index(
        users=grouped((service.pool, service) for service in services),
        vips=grouped((service.vip, service) for service in services),
        keys=grouped((key, service) for service in services for key in service_keys(service)),
        sorry_servers=grouped((s.sorry_server, s) for s in services if s.sorry_server),
        declaring=grouped((server.address, pool) for pool in pools for server in pool.real_servers),
        agents=grouped((agent.address, agent) for agent in agents),
        own_tunnels={
            pool.name: own
            for pool in pools
            if (own := {each.address: each.tunnel for each in pool.real_servers if each.tunnel})
        },
        ports={
            name: sum(max(1, len(service.ports)) for service in services if service.pool == name)
            for name in {service.pool for service in services}
        },
        servers={pool.name: len(pool.real_servers) for pool in pools if pool.real_servers},
        destinations=sum(
            max(1, len(service.ports)) * len(state.farm.pools[service.pool].real_servers)
            for service in services
            if service.pool in state.farm.pools
        ),
    )
    assert state.tunnel_paths == {
        path
        for service in services
        if (pool := state.farm.pools.get(service.pool)) and pool.health_checks
        for member in members(pool, state.status)
        if (path := tunnel_path(member, service.vip))
    }


def grouped(
    found: Iterable[tuple[object, Service | Pool | Agent]],
) -> dict[object, tuple[str, ...]]:
    """Return names by key, sorted."""
    groups: dict[object, set[str]] = {}
    for key, value in found:
        groups.setdefault(key, set()).add(value.name)
    return {key: tuple(sorted(names)) for key, names in groups.items()}


@pytest.mark.parametrize("pools", [[], ["web"], ["web", "mail"]])
def test_the_services_of_pools_are_found(pools: list[str]) -> None:
    """Each once."""
    services = [Service(name, SORRY, name, ports=(80,)) for name in ("web", "mail", "other")]
    index = Index().after([(None, service) for service in services])

    assert frozenset(pools) == index.users_of(pools)


def test_the_services_of_a_pool_on_a_vip_are_found() -> None:
    """Neither those of other pools there, nor the pool's on other VIPs."""
    web = Service("web", SORRY, "web", ports=(80,))
    others = (replace(web, name="mail", pool="mail"), replace(web, name="web6", vip=SORRY + 1))
    index = Index().after([(None, service) for service in (web, *others)])

    assert {"web"} == index.serving("web", SORRY)
    assert frozenset() == index.serving("web", SORRY + 2)
