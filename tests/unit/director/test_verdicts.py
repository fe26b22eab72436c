"""What verdicts come to for a server, and what of it is news."""

from dataclasses import replace
from datetime import UTC, datetime

from lvsctl.director.checks.verdicts import Turn, Verdicts
from lvsctl.farm.checks import TcpRequest, Through
from lvsctl.health.target import ProbeId, TargetId
from lvsctl.health.verdict import Frozen, Verdict, assumed_healthy, unchecked
from lvsctl.health.weights import Health
from lvsctl.reasons.servers import PROBES_FROZEN
from tests.support.reasons import because
from tests.unit.director.farms import VIP

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RS1 = TargetId("web", "rs1", VIP)
HTTP, HTTPS = (ProbeId(RS1, TcpRequest(), port, Through.TUNNEL) for port in (80, 443))
UP = Verdict(healthy=True, since=NOW, reasons=(because("risen"),))
TIMED_OUT = (because("timed out"),)
DOWN = Verdict(healthy=False, since=NOW, reasons=(because("refused"),))


def test_a_server_is_as_healthy_as_all_its_checks_say() -> None:
    """A turn is news once, from what it was when the news was taken last."""
    verdicts = Verdicts({})
    verdicts.set(HTTP, unchecked(NOW))
    verdicts.set(HTTP, UP)
    assert {RS1: Turn(None, Health(healthy=True, since=NOW))} == verdicts.take_news().turns
    verdicts.set(HTTPS, DOWN)
    assert verdicts.health[RS1].healthy is False
    assert [RS1] == list(verdicts.take_news().turns)
    verdicts.set(HTTPS, replace(DOWN, reasons=TIMED_OUT))
    news = verdicts.take_news()
    assert ({}, {HTTPS: replace(DOWN, reasons=TIMED_OUT).kept}) == (news.turns, news.to_keep)
    assert TIMED_OUT == verdicts.health[RS1].reasons


def test_what_was_handed_out_stays_as_it_was() -> None:
    """Another thread may read it."""
    verdicts = Verdicts({})
    verdicts.set(HTTP, UP)
    health, every = verdicts.health, verdicts.all
    verdicts.set(HTTP, DOWN)
    verdicts.forget(HTTP)
    assert (True, {HTTP: UP}) == (health[RS1].healthy, every[RS1])
    assert ({}, {}) == (verdicts.health, verdicts.all)


def test_kept_verdicts_hold_from_the_start() -> None:
    """Before anything is asked."""
    verdicts = Verdicts({HTTP: DOWN.kept, HTTPS: UP.kept})
    assert verdicts.health[RS1].healthy is False
    assert {"web"} == verdicts.pools
    assert {HTTP, HTTPS} == verdicts.of_pool("web")
    assert not verdicts.take_news().to_keep


def test_a_server_is_frozen_while_one_of_its_checks_is() -> None:
    """Told once, and once when it is over; its health says so meanwhile."""
    verdicts = Verdicts({})
    for probe_id in (HTTP, HTTPS):
        verdicts.set(probe_id, assumed_healthy(NOW))
    verdicts.take_news()
    stopped = replace(assumed_healthy(NOW), frozen=Frozen(because("no route"), NOW))
    for probe_id in (HTTP, HTTPS):
        verdicts.set(probe_id, stopped)
    assert {RS1: because("no route")} == verdicts.take_news().frozen
    assert {RS1: because("no route")} == verdicts.frozen
    assert (PROBES_FROZEN(why=because("no route")),) == verdicts.health[RS1].reasons
    verdicts.set(HTTP, assumed_healthy(NOW))
    assert not verdicts.take_news().thawed
    verdicts.set(HTTPS, assumed_healthy(NOW))
    assert {RS1} == verdicts.take_news().thawed
    assert () == verdicts.health[RS1].reasons


def test_what_is_forgotten_is_to_be_forgotten_on_disk() -> None:
    """And is no server's health any more."""
    verdicts = Verdicts({HTTP: UP.kept})
    verdicts.forget(HTTP)
    verdicts.forget(HTTPS)
    news = verdicts.take_news()
    assert {HTTP: None} == news.to_keep
    assert {RS1: Turn(Health(healthy=True, since=NOW), None)} == news.turns
    assert frozenset() == verdicts.pools
