"""Which ways health checks take: those of clients' packets, and only where they are asked."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from lvsctl.director.state import State
from lvsctl.farm.checks import ExecRequest, HealthCheck, TcpRequest, Through
from lvsctl.farm.model import PoolTunnel, Service
from lvsctl.farm.status import AdministrativeState, Agent, Override, Readiness, ServerId
from lvsctl.health.marks import TunnelPath
from lvsctl.ipvs.table import Encapsulation, TunnelType
from lvsctl.messages.model import Membership
from lvsctl.net import Family, IPAddress
from tests.unit.director.farms import OTHER_VIP, VIP, agent, pool, rip, state, web

VIP6 = ip_address("2001:db8:51::10")
TUNNELLED = HealthCheck(TcpRequest())
DISABLED = Override(
    AdministrativeState.DISABLED, None, "", "anna", datetime(2026, 1, 2, tzinfo=UTC)
)
GUE = PoolTunnel(TunnelType.GUE, 6080)


def farm(
    *checks: HealthCheck,
    services: Collection[Service] = (),
    agents: Collection[Agent] = (),
    tunnel: PoolTunnel | None = None,
    overrides: dict[ServerId, Override] | None = None,
) -> State:
    checked = replace(pool(1, 2), health_checks=checks, tunnel=tunnel or PoolTunnel())
    return state(services or [web()], [checked], agents=agents, overrides=overrides)


def path(
    number: int, encapsulation: Encapsulation | None = None, family: Family = Family.IPV4
) -> TunnelPath:
    return TunnelPath(family, rip(number), encapsulation or Encapsulation())


def test_each_server_is_reached_in_the_tunnel_of_its_pool() -> None:
    """One way for all VIPs of a family, however many services and checks there are."""
    services = [web(), web(OTHER_VIP, name="other"), web(VIP6, name="six")]
    found = farm(TUNNELLED, HealthCheck(TcpRequest(), 443), services=services, tunnel=GUE)
    assert {
        path(number, GUE.encapsulation, family) for number in (1, 2) for family in Family
    } == found.tunnel_paths


@pytest.mark.parametrize(
    "checks",
    [
        (),
        (HealthCheck(TcpRequest(), through=Through.DIRECT),),
        (HealthCheck(ExecRequest("check")),),
    ],
    ids=["none", "direct", "a program"],
)
def test_other_checks_take_none(checks: tuple[HealthCheck, ...]) -> None:
    """The kernel is left alone where nothing asks through the tunnel."""
    assert frozenset() == farm(*checks).tunnel_paths


def test_a_pool_that_no_service_uses_has_none() -> None:
    """There is no VIP that could be asked."""
    checked = replace(pool(1), health_checks=(TUNNELLED,))
    assert frozenset() == state([], [checked]).tunnel_paths


def test_a_server_is_asked_in_the_tunnel_that_it_accepts() -> None:
    """Not before its agent has reported one ready, and in the old one until it has the new."""
    assert {path(2)} == farm(TUNNELLED, agents=[agent(1)]).tunnel_paths
    assert {path(1), path(2)} == farm(TUNNELLED, agents=[agent(1, VIP)]).tunnel_paths
    switching = farm(TUNNELLED, agents=[agent(1, VIP)], tunnel=GUE)
    assert {path(1), path(2, GUE.encapsulation)} == switching.tunnel_paths
    both = replace(
        agent(1, VIP),
        ready=frozenset({_ready(VIP, Encapsulation()), _ready(VIP, GUE.encapsulation)}),
    )
    switched = farm(TUNNELLED, agents=[both], tunnel=GUE)
    assert {path(1, GUE.encapsulation), path(2, GUE.encapsulation)} == switched.tunnel_paths


def _ready(vip: IPAddress, encapsulation: Encapsulation) -> Readiness:
    return Readiness(vip, encapsulation)


@pytest.mark.parametrize(
    ("membership", "asked"), [(Membership.LEAVING, {1, 2}), (Membership.LEFT, {2})]
)
def test_one_that_has_left_is_asked_no_more(membership: Membership, asked: set[int]) -> None:
    """Its tunnel is gone; one that is leaving still has it."""
    found = farm(TUNNELLED, agents=[agent(1, VIP, membership=membership)])
    assert {path(number) for number in asked} == found.tunnel_paths


def test_one_that_a_person_took_out_is_asked_all_the_same() -> None:
    """So that it is known how it is before it is put back."""
    disabled = {ServerId("web", "rs1"): DISABLED}
    assert {path(1), path(2)} == farm(TUNNELLED, overrides=disabled).tunnel_paths
