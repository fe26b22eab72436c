"""What changed, from what to what."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given

from lvsctl.director.state import State
from lvsctl.director.write.differences import MAX_CHANGED, MAX_LINE, changed_lines
from lvsctl.farm.access import Role, Secret, Token
from lvsctl.farm.model import Farm, Pool, RealServer, Service
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.status import EPOCH, AdministrativeState, Override, Status
from lvsctl.store.authorship import Authorship, read_authorship
from tests.unit import strategies

POOL_ID = ObjectId(Kind.POOL, "web")
POOL = Pool("web", real_servers=(RealServer("rs1", IPv4Address("192.0.2.11")),))
SERVICE = Service("web", IPv4Address("198.51.100.10"), "web", ports=(80, 443))
TOKEN = Token("ci", Role.VIEWER, (Secret(b"digest", EPOCH, None),), "root")
STATE = State("farm", 1, 1, {}, Farm({"web": SERVICE}, {"web": POOL}), Status(), {"ci": TOKEN})
BEGIN = "1970-01-01T00:00:00Z"
OVERRIDE = Override(AdministrativeState.DRAINING, None, "disk", "ada", EPOCH)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({POOL_ID: POOL}, ()),
        (
            {POOL_ID: replace(POOL, real_servers=(replace(POOL.real_servers[0], weight=50),))},
            ("change pool web: real_servers/rs1/weight 100 → 50",),
        ),
        (
            {ObjectId(Kind.SERVICE, "web"): replace(SERVICE, ports=(80,), scheduler="rr")},
            (
                "change service web: ports 80, 443 → 80",
                "change service web: scheduler wlc → rr",
            ),
        ),
        (
            {ObjectId(Kind.OVERRIDE, "web/rs1"): OVERRIDE},
            (f"add override web/rs1: state draining, reason disk, by ada, since {BEGIN}",),
        ),
        ({ObjectId(Kind.TOKEN, "ci"): None}, ("remove token ci: role viewer, by root",)),
        (
            {ObjectId(Kind.TOKEN, "ci"): replace(TOKEN, secrets=())},
            ("change token ci: secrets created 1970-01-01T00:00:00Z → none",),
        ),
    ],
)
def test_a_change_is_told_by_field(changes: Changes, lines: tuple[str, ...]) -> None:
    """With both values; of a token never its digest."""
    assert lines == changed_lines(STATE, changes)


def test_a_server_that_comes_or_goes_is_named() -> None:
    """Not its whole pool."""
    (added,) = changed_lines(
        STATE,
        {POOL_ID: replace(POOL, real_servers=(RealServer("rs2", IPv4Address("192.0.2.12")),))},
    )[1:]
    assert added.startswith("change pool web: real_servers/rs2 none → name rs2 address 192.0.2.12")


def test_a_long_change_is_cut() -> None:
    """The whole of it is in the commit's documents."""
    servers = tuple(RealServer(f"s{n}", IPv4Address(n)) for n in range(1000))
    long = replace(SERVICE, scheduler="x" * 1000)
    lines = changed_lines(
        STATE,
        {
            ObjectId(Kind.SERVICE, "web"): long,
            POOL_ID: replace(POOL, real_servers=servers),
        },
    )
    assert (MAX_CHANGED + 1, "and more") == (len(lines), lines[-1])
    assert MAX_LINE + 1 == max(map(len, lines))


@given(strategies.named_objects(), strategies.named_objects())
def test_whatever_changes_can_be_told(one: object, other: object) -> None:
    """Any two objects of any kind."""
    (object_id, old), (_, new) = one, other  # type: ignore[misc]
    before = STATE.after({object_id: old}, 2)
    lines = changed_lines(before, {object_id: new})
    author = Authorship("ada", "192.0.2.1", lines)
    kept = read_authorship(author.encode())
    assert ("ada", "192.0.2.1") == (kept.name, kept.source)
    assert len(lines) >= len(kept.changed)


@pytest.mark.parametrize(
    ("author", "text"),
    [
        (Authorship("ada"), "ada"),
        (Authorship("ada", "192.0.2.1"), "ada\n192.0.2.1"),
        (Authorship("ada", "", ("a", "b")), "ada\n\na\nb"),
    ],
)
def test_an_author_is_kept_as_text(author: Authorship, text: str) -> None:
    """A name alone is what earlier versions wrote."""
    assert text == author.encode()
    assert author == read_authorship(text)
