"""Properties of compiling a farm to a table, and of the diff between tables."""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.farm.compile import (
    SERVICE_FLAGS,
    compile_farm,
    compile_service,
    diff_timeouts,
    service_keys,
)
from lvsctl.farm.members import members
from lvsctl.farm.model import Farm, Settings
from lvsctl.farm.rules.farm import SCHEDULER_FLAGS, broken_rules
from lvsctl.farm.status import Status
from lvsctl.ipvs.diff import diff
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    DeleteDestination,
    DeleteService,
    EditDestination,
    IpvsTable,
    Operation,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    service_of,
)
from tests.unit import strategies
from tests.unit.strict_table import steps

TABLES = strategies.tables
KEYS = st.frozensets(strategies.service_keys)
FARMS_WITH_STATUS = strategies.good_farms().flatmap(
    lambda farm: st.tuples(st.just(farm), strategies.statuses(farm))
)


# --- diff -----------------------------------------------------------------------------------


@given(TABLES, KEYS)
def test_equal_tables_need_no_operations(table: IpvsTable, claimed: set) -> None:
    """diff(x, x) is empty, whatever is claimed."""
    assert [] == list(diff(table, table, claimed).operations)


def expected_table(desired: IpvsTable, observed: IpvsTable, claimed: AbstractSet) -> IpvsTable:
    """Return, independently of diff, the table that should result."""
    foreign = {key: service for key, service in observed.items() if key not in claimed}
    return {**desired, **foreign}


@given(TABLES, TABLES, KEYS)
def test_applying_the_plan_gives_the_desired_table(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey]
) -> None:
    """Claimed services are as desired, others unchanged, and no operation is refused."""
    plan = diff(desired, observed, claimed)
    assert expected_table(desired, observed, claimed) == steps(observed, plan.operations)[-1]


@given(TABLES, TABLES, KEYS)
def test_no_operation_is_redundant(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey]
) -> None:
    """Each one changes something."""
    tables = steps(observed, diff(desired, observed, claimed).operations)
    assert all(before != after for before, after in pairwise(tables))


@given(TABLES, TABLES, KEYS, st.data())
def test_an_interrupted_plan_converges_when_run_again(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey], data: st.DataObject
) -> None:
    """A key is claimed before it is added, so half a plan leaves only claimed services."""
    operations = diff(desired, observed, claimed).operations
    done = data.draw(st.integers(0, len(operations)))
    halfway = steps(observed, operations[:done])[-1]
    claimed_now = claimed | (desired.keys() - observed.keys())
    again = diff(desired, halfway, claimed_now).operations
    assert expected_table(desired, observed, claimed) == steps(halfway, again)[-1]
    assert len(operations) - done >= len(again)


@given(TABLES, TABLES, KEYS)
def test_services_that_are_not_claimed_are_never_touched(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey]
) -> None:
    """Foreign services and conflicts are listed, and no operation is about one."""
    plan = diff(desired, observed, claimed)
    not_ours = observed.keys() - claimed
    assert not_ours.isdisjoint(service_of(operation) for operation in plan.operations)
    assert not_ours & desired.keys() == set(plan.conflicts)
    assert not_ours - desired.keys() == set(plan.foreign)
    assert len(not_ours) == len(plan.conflicts) + len(plan.foreign)


@given(TABLES, TABLES, KEYS)
def test_a_destination_that_is_kept_is_never_missing(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey]
) -> None:
    """At no step does a service lack a destination that it keeps."""
    tables = steps(observed, diff(desired, observed, claimed).operations)
    for key in desired.keys() & observed.keys():
        kept = desired[key].destinations.keys() & observed[key].destinations.keys()
        assert all(kept <= table[key].destinations.keys() for table in tables)


@given(TABLES, TABLES, KEYS)
def test_nothing_is_deleted_and_re_added(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey]
) -> None:
    """Objects that exist before and after are edited in place; each is touched once."""
    operations = diff(desired, observed, claimed).operations
    touched = [(service_of(operation), getattr(operation, "key", None)) for operation in operations]
    assert len(touched) == len(set(touched))


@given(TABLES, TABLES, KEYS)
def test_within_a_service_adds_come_before_deletes(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey]
) -> None:
    """Adds, then edits, then deletes."""
    order: dict[type[Operation], int] = {AddDestination: 0, EditDestination: 1}
    for key in desired.keys() | observed.keys():
        ranks = [
            order.get(type(operation), 2)
            for operation in diff(desired, observed, claimed).operations
            if isinstance(operation, AddDestination | EditDestination | DeleteDestination)
            and operation.service == key
        ]
        assert sorted(ranks) == ranks


@given(TABLES, TABLES, KEYS)
def test_services_are_added_first_and_deleted_last(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey]
) -> None:
    """A changed VIP is a new key: it has all its destinations before the old one is deleted."""
    operations = diff(desired, observed, claimed).operations
    new = desired.keys() - observed.keys()
    ranks = [
        2 if isinstance(operation, DeleteService) else int(service_of(operation) not in new)
        for operation in operations
    ]
    assert sorted(ranks) == ranks


@given(TABLES, TABLES, KEYS)
def test_deleting_a_service_takes_one_operation(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey]
) -> None:
    """The kernel deletes its destinations with it, so they are not deleted first."""
    gone = observed.keys() - desired.keys()
    operations = diff(desired, observed, claimed).operations
    assert [DeleteService(key) for key in sorted(gone & claimed, key=lambda key: key.sort_key)] == [
        operation for operation in operations if service_of(operation) in gone
    ]


@given(TABLES, TABLES, KEYS, st.randoms())
def test_the_plan_does_not_depend_on_the_order_of_services(
    desired: IpvsTable, observed: IpvsTable, claimed: frozenset[ServiceKey], random: object
) -> None:
    """Two directors with the same farm make the same operations in the same order."""
    shuffled = list(desired.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert diff(desired, observed, claimed) == diff(dict(shuffled), observed, claimed)


# --- compilation ----------------------------------------------------------------------------


@given(strategies.good_farms())
def test_random_farms_are_valid(farm: Farm) -> None:
    """The properties below are about farms that can be stored."""
    assert [] == list(broken_rules(farm, {}))


@given(FARMS_WITH_STATUS)
def test_a_farms_table_is_the_union_of_its_services(given_: tuple[Farm, Status]) -> None:
    """No service's part depends on another service, and no key is in two parts."""
    farm, status = given_
    parts = [
        compile_service(service, farm.pools[service.pool], status)
        for service in farm.services.values()
    ]
    table = compile_farm(farm, status)
    assert table == {key: part[key] for part in parts for key in part}
    assert len(table) == sum(map(len, parts))


@given(FARMS_WITH_STATUS)
def test_every_key_of_a_service_has_the_same_destinations(given_: tuple[Farm, Status]) -> None:
    """They differ only in the port, which is the service's, or 0 with a firewall mark."""
    farm, status = given_
    for service in farm.services.values():
        table = compile_service(service, farm.pools[service.pool], status)
        assert list(service_keys(service)) == list(table)
        addresses = {tuple(dest.address for dest in entry.destinations) for entry in table.values()}
        assert 1 == len(addresses)
        for key, entry in table.items():
            port = key.port if isinstance(key, AddressKey) else 0
            assert {port} >= {destination.port for destination in entry.destinations}


@given(FARMS_WITH_STATUS)
def test_destinations_are_ordered_by_address(given_: tuple[Farm, Status]) -> None:
    """In the plan that adds them too, as the mh table depends on the order."""
    farm, status = given_
    table = compile_farm(farm, status)
    added: dict[ServiceKey, list[tuple[int, int, int]]] = {key: [] for key in table}
    for operation in diff(table, {}, ()).operations:
        if isinstance(operation, AddDestination):
            added[operation.service].append(operation.key.sort_key)
    assert all(sorted(keys) == keys for keys in added.values())
    assert {key: len(service.destinations) for key, service in table.items()} == {
        key: len(keys) for key, keys in added.items()
    }


@given(FARMS_WITH_STATUS)
def test_only_members_of_the_pool_are_destinations(given_: tuple[Farm, Status]) -> None:
    """No other server gets traffic."""
    farm, status = given_
    for service in farm.services.values():
        pool = farm.pools[service.pool]
        known = {member.address for member in members(pool, status)}
        for entry in compile_service(service, pool, status).values():
            assert known >= {destination.address for destination in entry.destinations}


@given(FARMS_WITH_STATUS)
def test_a_server_gets_only_tunnels_that_its_agent_reported_ready(
    given_: tuple[Farm, Status],
) -> None:
    """Without an agent it gets the declared tunnel; with one, the desired once it is ready."""
    farm, status = given_
    for service in farm.services.values():
        pool = farm.pools[service.pool]
        found = {
            destination.address: config.encapsulation
            for entry in compile_service(service, pool, status).values()
            for destination, config in entry.destinations.items()
        }
        for member in members(pool, status):
            if member.address not in found:
                continue
            ready = member.agent.ready if member.agent else ()
            accepted = {each.tunnel for each in ready if each.vip == service.vip}
            if member.agent is None or member.encapsulation in accepted:
                assert member.encapsulation == found[member.address]
            else:
                assert found[member.address] in accepted


@given(FARMS_WITH_STATUS)
def test_without_status_every_declared_server_serves_as_declared(
    given_: tuple[Farm, Status],
) -> None:
    """Only an operator or an agent takes a server out."""
    farm, _ = given_
    for service in farm.services.values():
        pool = farm.pools[service.pool]
        for entry in compile_service(service, pool, Status()).values():
            assert {server.address: server.weight for server in pool.real_servers} == {
                destination.address: config.weight
                for destination, config in entry.destinations.items()
            }


@given(FARMS_WITH_STATUS, st.data())
def test_another_pools_status_changes_nothing(
    given_: tuple[Farm, Status], data: st.DataObject
) -> None:
    """So waking the services of one pool is enough for changes in that pool."""
    farm, status = given_
    other = data.draw(strategies.statuses(replace(farm, pools={"green": farm.pools["green"]})))
    blue_only = Status(
        {server: override for server, override in status.overrides.items() if server.pool == "blue"}
        | other.overrides,
        status.agents,
    )
    for service in farm.services.values():
        if service.pool == "blue":
            pool = farm.pools["blue"]
            assert compile_service(service, pool, status) == compile_service(
                service, pool, blue_only
            )


def test_every_flag_that_the_rules_allow_can_be_compiled() -> None:
    """A valid farm can always be compiled."""
    allowed = {flag for flags in SCHEDULER_FLAGS.values() for flag in flags} | {"ops"}
    assert allowed == set(SERVICE_FLAGS)


# --- timeouts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), ()),
        (Settings(tcp_timeout_s=900, tcp_fin_timeout_s=120, udp_timeout_s=300), ()),
        (Settings(tcp_timeout_s=60), (SetTimeouts(Timeouts(60, 120, 300)),)),
        (Settings(tcp_fin_timeout_s=60), (SetTimeouts(Timeouts(900, 60, 300)),)),
        (Settings(udp_timeout_s=60), (SetTimeouts(Timeouts(900, 120, 60)),)),
    ],
)
def test_only_timeouts_in_the_farm_are_set(
    settings: Settings, expected: tuple[SetTimeouts, ...]
) -> None:
    """Others keep the kernel's values, and equal values are not written."""
    assert expected == tuple(diff_timeouts(Farm(settings=settings), Timeouts(900, 120, 300)))
