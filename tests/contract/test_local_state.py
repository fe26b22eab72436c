"""The contract of local states, on disk and in memory."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsctl.errors import StoreCorrupt, StoreError
from lvsctl.farm.checks import HttpRequest, TcpRequest, Through
from lvsctl.farm.model import Pool, RealServer
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.health.marks import ProbeMark, ProbeMarks, TunnelPath
from lvsctl.health.target import ProbeId, TargetId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.host.interface import AddressKey as HostAddressKey
from lvsctl.host.interface import LinkKey
from lvsctl.ipvs.table import AddressKey, Encapsulation, FwmarkKey, ServiceKey, TunnelType
from lvsctl.net import Family, IpProtocol
from lvsctl.reasons.probes import REFUSED
from lvsctl.reasons.servers import FIRST_PROBE_PASSED, NOT_UP_YET
from lvsctl.store.database import Database
from lvsctl.store.documents import encode_key, encode_mode, encode_probe_id
from lvsctl.store.interface import Contents, LocalState, Mode, ModeName, Stored
from lvsctl.store.local import FORMAT, SqliteLocalState
from lvsctl.store.memory import MemoryLocalState
from tests.support.reasons import because
from tests.unit import strategies

WEB = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80)
MARK = FwmarkKey(Family.IPV4, 7)
LINK = LinkKey("lvs0")
VIP = HostAddressKey("lvs0", IPv4Interface("198.51.100.10/32"))
PAUSED = Mode(ModeName.OBSERVE, "a look", datetime(2026, 1, 2, tzinfo=UTC), "anna")
RS1 = TunnelPath(Family.IPV4, IPv4Address("192.0.2.11"), Encapsulation())
RS2 = TunnelPath(Family.IPV6, IPv6Address("2001:db8:2::12"), Encapsulation(TunnelType.GUE, 6080))
PROBED = {RS1: ProbeMark(0x4C560000, 61000), RS2: ProbeMark(0x4C560001, 61001, PAUSED.until)}

OF_RS1 = ProbeId(
    TargetId("web", "rs1", IPv4Address("198.51.100.10")), TcpRequest(), 80, Through.TUNNEL
)
OF_RS2 = replace(OF_RS1, request=HttpRequest(path="/healthz"), port=None)
DOWN_WHY = NOT_UP_YET(why=(REFUSED("192.0.2.11:80"), because("an older text")))
UP = KeptVerdict(healthy=True, since=PAUSED.until, reasons=(FIRST_PROBE_PASSED(),))
DOWN = KeptVerdict(healthy=False, since=None, reasons=(DOWN_WHY,))


def farm(pools: Mapping[str, int], revision: int) -> Contents:
    """Return a farm of pools, each with its revision."""
    objects = {
        ObjectId(Kind.POOL, name): Stored(
            Pool(name, real_servers=(RealServer(f"rs{at}", IPv4Address("192.0.2.1")),)), at
        )
        for name, at in pools.items()
    }
    return Contents("farm", 1, revision, objects)


@pytest.fixture(params=["sqlite", "memory"])
def make_state(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LocalState]:
    """Return a function that creates a local state."""
    count = iter(range(10_000))

    def make() -> LocalState:
        if request.param == "memory":
            return MemoryLocalState()
        return SqliteLocalState(tmp_path / f"{next(count)}.db", "boot")

    return make


@pytest.fixture
def state(make_state: Callable[[], LocalState]) -> Iterator[LocalState]:
    """Return a new local state."""
    state = make_state()
    yield state
    state.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a local state."""
    return tmp_path / "local.db"


def test_a_new_one_claims_nothing_and_enforces(state: LocalState) -> None:
    """The mode is enforce."""
    assert ({}, (), Mode()) == (state.claims(), tuple(state.host_claims.claimed()), state.mode())


def test_keys_are_claimed_until_released(state: LocalState) -> None:
    """A claim is for a service; claiming again for another service moves it."""
    state.claim({WEB: "web", MARK: "mail"})
    state.claim({WEB: "shop"})
    state.release([MARK])
    assert {WEB: "shop"} == state.claims()


def test_releasing_an_unclaimed_key_is_ignored(state: LocalState) -> None:
    """Releasing is idempotent."""
    state.release([WEB])
    state.host_claims.release([LINK, VIP])
    assert ({}, ()) == (state.claims(), tuple(state.host_claims.claimed()))


def test_devices_and_addresses_are_claimed_until_released(state: LocalState) -> None:
    """Claiming is idempotent."""
    state.host_claims.claim([LINK, VIP])
    state.host_claims.claim([VIP])
    state.host_claims.release([LINK])
    assert [VIP] == list(state.host_claims.claimed())


def test_returned_claims_do_not_change(state: LocalState) -> None:
    """When others are claimed later."""
    claims, host_claims, marks = state.claims(), state.host_claims.claimed(), state.probe_marks()
    state.claim({WEB: "web"})
    state.host_claims.claim([LINK])
    state.keep_probe_marks(PROBED)
    assert ({}, 0, {}) == (claims, len(host_claims), marks)


def test_probe_marks_are_replaced_as_a_whole(state: LocalState) -> None:
    """New ones are added, others changed, and missing ones removed."""
    state.keep_probe_marks(PROBED)
    assert PROBED == state.probe_marks()
    moved = {RS2: ProbeMark(7, 61001)}
    state.keep_probe_marks(moved)
    assert moved == state.probe_marks()
    state.keep_probe_marks({})
    assert {} == state.probe_marks()


def test_verdicts_are_kept_until_forgotten(state: LocalState) -> None:
    """New ones are added, others changed or kept; forgetting is idempotent."""
    state.keep_verdicts({OF_RS1: UP, OF_RS2: UP})
    state.keep_verdicts({OF_RS2: DOWN})
    assert {OF_RS1: UP, OF_RS2: DOWN} == state.verdicts()
    state.keep_verdicts({OF_RS1: None, replace(OF_RS1, port=81): None})
    assert {OF_RS2: DOWN} == state.verdicts()


def test_the_farm_that_was_applied_is_remembered(state: LocalState) -> None:
    """With its position; it replaces the previous one."""
    assert None is state.remembered()
    first = farm({"a": 1, "b": 1}, revision=1)
    state.remember(first)
    assert first == state.remembered()
    second = farm({"b": 2, "c": 2}, revision=2)
    state.remember(second)
    assert second == state.remembered()
    another = replace(farm({"x": 1}, revision=1), farm_id="other", epoch=7)
    state.remember(another)
    assert another == state.remembered()


def test_arguments_can_be_changed_afterwards(state: LocalState) -> None:
    """The state keeps a copy of the mapping."""
    given_marks = dict(PROBED)
    state.keep_probe_marks(given_marks)
    given_marks.clear()
    assert PROBED == state.probe_marks()
    objects = dict(farm({"a": 1}, revision=1).objects)
    state.remember(Contents("farm", 1, 1, objects))
    objects.clear()
    assert farm({"a": 1}, revision=1) == state.remembered()


def test_the_mode_is_kept(state: LocalState) -> None:
    """With its reason, end and author."""
    state.set_mode(PAUSED)
    assert PAUSED == state.mode()


def test_a_closed_one_is_refused(state: LocalState) -> None:
    """After close every call fails; closing again does not."""
    state.close()
    state.close()
    with pytest.raises(StoreError):
        state.claim({WEB: "web"})


PATHS = st.builds(
    TunnelPath, st.sampled_from(Family), strategies.ADDRESSES, strategies.any_encapsulations
)
PROBE_MARKS = st.builds(ProbeMark, st.integers(), st.integers(), st.none() | strategies.TIMES)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.dictionaries(PATHS, PROBE_MARKS, max_size=4), max_size=4))
def test_any_probe_marks_are_kept(
    make_state: Callable[[], LocalState], history: list[ProbeMarks]
) -> None:
    """Whatever was kept before."""
    state = make_state()
    for marks in history:
        state.keep_probe_marks(marks)
    left = state.probe_marks()
    state.close()
    assert (history[-1] if history else {}) == left


PROBES = st.builds(
    ProbeId,
    st.builds(TargetId, strategies.NAMES, strategies.NAMES, strategies.VIPS),
    strategies.any_requests,
    st.none() | st.integers(1, 65535),
    st.sampled_from(Through),
)
VERDICTS = st.builds(
    KeptVerdict, st.none() | st.booleans(), st.none() | strategies.TIMES, strategies.any_reasons
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.dictionaries(PROBES, st.none() | VERDICTS, max_size=4), max_size=4))
def test_any_verdicts_are_kept(
    make_state: Callable[[], LocalState], history: list[dict[ProbeId, KeptVerdict | None]]
) -> None:
    """The last one on each target, unless it was forgotten."""
    state = make_state()
    last: dict[ProbeId, KeptVerdict | None] = {}
    for changes in history:
        state.keep_verdicts(changes)
        last.update(changes)
    left = state.verdicts()
    state.close()
    assert {probe: verdict for probe, verdict in last.items() if verdict} == left


HISTORIES = st.lists(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 3)), max_size=6), max_size=6
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(HISTORIES)
def test_any_history_of_farms_leaves_the_last_one_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[tuple[str, int]]]
) -> None:
    """Across restarts too, whatever was added, removed and moved."""
    path = tmp_path_factory.mktemp("local") / "local.db"
    state = SqliteLocalState(path, "boot")
    for revision, pools in enumerate(history):
        state.remember(farm(dict(pools), revision))
    state.close()
    state = SqliteLocalState(path, "boot")
    found = state.remembered()
    state.close()
    last = farm(dict(history[-1]), len(history) - 1) if history else None
    assert last == found
    assert list(last.objects if last else ()) == list(found.objects if found else ())


def test_only_what_changed_is_written(path: Path) -> None:
    """One changed pool of a thousand costs one row and the position."""
    state = SqliteLocalState(path, "boot")
    pools = {f"p{n}": 1 for n in range(1000)}
    state.remember(farm(pools, 1))
    before = state._database._connection.total_changes
    state.remember(farm({**pools, "p500": 2}, 2))
    assert 2 == state._database._connection.total_changes - before
    state.close()


CLAIMS = st.dictionaries(strategies.any_service_keys, strategies.NAMES, max_size=4)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.booleans(), CLAIMS), max_size=6))
def test_claims_behave_like_a_mapping(
    make_state: Callable[[], LocalState], history: list[tuple[bool, dict[ServiceKey, str]]]
) -> None:
    """Claims act like updates of a dictionary, releases like deletions."""
    state = make_state()
    model: dict[ServiceKey, str] = {}
    for claimed, keys in history:
        if claimed:
            state.claim(keys)
            model.update(keys)
        else:
            state.release(keys.keys())
            model = {key: name for key, name in model.items() if key not in keys}
    left = state.claims()
    state.close()
    assert model == left


def test_it_survives_a_restart(path: Path) -> None:
    """Everything is unchanged within the same boot."""
    state = SqliteLocalState(path, "boot")
    state.claim({WEB: "web", MARK: "mail"})
    state.host_claims.claim([LINK, VIP])
    state.set_mode(PAUSED)
    state.keep_probe_marks(PROBED)
    state.keep_verdicts({OF_RS1: UP, OF_RS2: DOWN})
    state.remember(farm({"a": 1}, 1))
    state.close()
    state = SqliteLocalState(path, "boot")
    found = (state.claims(), list(state.host_claims.claimed()), state.mode(), state.probe_marks())
    verdicts, remembered = state.verdicts(), state.remembered()
    state.close()
    assert farm({"a": 1}, 1) == remembered
    assert ({WEB: "web", MARK: "mail"}, [LINK, VIP], PAUSED, PROBED) == found
    assert {OF_RS1: UP, OF_RS2: DOWN} == verdicts


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_file_of_an_older_version_is_upgraded(path: Path, version: int) -> None:
    """Its claims are kept, and it can store probe marks and verdicts."""
    tables = {n: c for n, c in FORMAT.tables.items() if FORMAT.since.get(n, 1) <= version}
    older = replace(FORMAT, version=version, tables=tables)
    old = Database(path, older, {"boot_id": "boot", "mode": encode_mode(PAUSED)})
    with old.transaction():
        old.write("claims", [(encode_key(WEB), "web")])
        if "verdicts" in tables:
            text = '{"healthy":false,"since":null,"reason":"timed out"}'
            old.write("verdicts", [(encode_probe_id(OF_RS2), text)])
    old.close()
    state = SqliteLocalState(path, "boot")
    found = (state.claims(), state.mode(), state.probe_marks())
    as_text = KeptVerdict(healthy=False, since=None, reasons=(because("timed out"),))
    assert ({OF_RS2: as_text} if "verdicts" in tables else {}) == state.verdicts()
    state.keep_probe_marks(PROBED)
    state.keep_verdicts({OF_RS1: UP, OF_RS2: None})
    state.close()
    assert ({WEB: "web"}, PAUSED, {}) == found
    state = SqliteLocalState(path, "boot")
    kept = (state.probe_marks(), state.verdicts())
    state.close()
    assert (PROBED, {OF_RS1: UP}) == kept


def test_another_boot_voids_the_claims_and_keeps_the_rest(path: Path) -> None:
    """For good: they are not restored if the old boot id returns."""
    state = SqliteLocalState(path, "first")
    state.claim({WEB: "web"})
    state.host_claims.claim([LINK])
    state.set_mode(PAUSED)
    state.keep_probe_marks(PROBED)
    state.keep_verdicts({OF_RS1: UP})
    state.remember(farm({"a": 1}, 1))
    state.close()
    found = []
    for boot_id in ("second", "first"):
        state = SqliteLocalState(path, boot_id)
        found.append(
            (state.claims(), list(state.host_claims.claimed()), state.mode(), state.probe_marks())
        )
        assert {OF_RS1: UP} == state.verdicts()
        assert farm({"a": 1}, 1) == state.remembered()
        state.close()
    assert [({}, [], PAUSED, PROBED)] * 2 == found


def test_a_damaged_file_is_refused_with_what_to_do(path: Path) -> None:
    """Adopting restores the claims."""
    path.write_bytes(b"garbage")
    with pytest.raises(StoreCorrupt, match=r"local state is damaged.*lvsctl service adopt --all"):
        SqliteLocalState(path, "boot")


def test_a_tampered_claim_is_refused(path: Path) -> None:
    """A cell changed by another program is damage; the lock is released."""
    state = SqliteLocalState(path, "boot")
    state.claim({WEB: "web"})
    state.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE claims SET service = 'shop'")
    connection.commit()
    connection.close()
    for _ in range(2):
        with pytest.raises(StoreCorrupt, match="a row of its table claims"):
            SqliteLocalState(path, "boot")


@pytest.mark.parametrize("key", ["boot_id", "mode", "written_by"])
def test_a_file_that_lost_an_entry_is_refused(path: Path, key: str) -> None:
    """Naming what is missing; no default is assumed."""
    SqliteLocalState(path, "boot").close()
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    connection.commit()
    connection.close()
    for _ in range(2):
        with pytest.raises(StoreCorrupt, match=f"its table meta has no entry {key}"):
            SqliteLocalState(path, "boot")


def test_a_claim_of_another_version_is_refused(path: Path) -> None:
    """An intact row whose key is unknown."""
    state = SqliteLocalState(path, "boot")
    with state._database.transaction():
        state._database.write("claims", [('{"inode":5}', "web")])
    state.close()
    with pytest.raises(StoreCorrupt):
        SqliteLocalState(path, "boot")


def test_a_claim_that_does_not_fit_on_the_disk_is_not_made(path: Path) -> None:
    """Memory is never ahead of the disk."""
    state = SqliteLocalState(path, "boot")
    state._database._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        state.claim({WEB: "web"})
    with pytest.raises(StoreError):
        state.set_mode(PAUSED)
    with pytest.raises(StoreError):
        state.keep_probe_marks(PROBED)
    with pytest.raises(StoreError):
        state.keep_verdicts({OF_RS1: UP})
    with pytest.raises(StoreError):
        state.remember(farm({"a": 1}, 1))
    found = (state.claims(), state.mode(), state.probe_marks(), state.verdicts())
    remembered = state.remembered()
    state.close()
    assert ({}, Mode(), {}, {}, None) == (*found, remembered)
