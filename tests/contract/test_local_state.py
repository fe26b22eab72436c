"""What every local state keeps to, on a disk and in memory."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsctl.errors import StoreCorrupt, StoreError
from lvsctl.host.protocol import AddressKey as HostAddressKey
from lvsctl.host.protocol import LinkKey
from lvsctl.ipvs_table import AddressKey, Family, FwmarkKey, IpProtocol, ServiceKey
from lvsctl.store.local import SqliteLocalState
from lvsctl.store.memory import MemoryLocalState
from lvsctl.store.protocol import LocalState, Mode, ModeName
from tests.unit import strategies

WEB = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80)
MARK = FwmarkKey(Family.IPV4, 7)
LINK = LinkKey("lvs0")
VIP = HostAddressKey("lvs0", IPv4Interface("198.51.100.10/32"))
PAUSED = Mode(ModeName.OBSERVE, "a look", datetime(2026, 1, 2, tzinfo=UTC), "anna")


@pytest.fixture(params=["sqlite", "memory"])
def make_state(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LocalState]:
    """Return what makes a new local state."""
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
    """Return where a local state is kept over restarts."""
    return tmp_path / "local.db"


def test_a_new_one_claims_nothing_and_enforces(state: LocalState) -> None:
    """Nothing is ours, and the director may write."""
    assert ({}, (), Mode()) == (state.claims(), tuple(state.host_claims()), state.mode())


def test_claimed_keys_are_ours_until_released(state: LocalState) -> None:
    """A claim says for which service; claiming again for another moves it."""
    state.claim({WEB: "web", MARK: "mail"})
    state.claim({WEB: "shop"})
    state.release([MARK])
    assert {WEB: "shop"} == state.claims()


def test_releasing_what_is_not_claimed_is_no_error(state: LocalState) -> None:
    """What is gone is gone."""
    state.release([WEB])
    state.release_host([LINK, VIP])
    assert ({}, ()) == (state.claims(), tuple(state.host_claims()))


def test_devices_and_addresses_are_ours_until_released(state: LocalState) -> None:
    """Each once, however often claimed."""
    state.claim_host([LINK, VIP])
    state.claim_host([VIP])
    state.release_host([LINK])
    assert [VIP] == list(state.host_claims())


def test_an_answer_is_a_value(state: LocalState) -> None:
    """What was answered does not change with what is claimed later."""
    claims, host_claims = state.claims(), state.host_claims()
    state.claim({WEB: "web"})
    state.claim_host([LINK])
    assert ({}, 0) == (claims, len(host_claims))


def test_the_mode_is_kept(state: LocalState) -> None:
    """With its reason, end and author."""
    state.set_mode(PAUSED)
    assert PAUSED == state.mode()


def test_a_closed_one_is_refused(state: LocalState) -> None:
    """After close nothing can be claimed; closing again is no error."""
    state.close()
    state.close()
    with pytest.raises(StoreError):
        state.claim({WEB: "web"})


CLAIMS = st.dictionaries(strategies.any_service_keys, strategies.NAMES, max_size=4)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.booleans(), CLAIMS), max_size=6))
def test_any_history_of_claims_leaves_what_a_mapping_would(
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
    """Within one boot everything is as it was left."""
    state = SqliteLocalState(path, "boot")
    state.claim({WEB: "web", MARK: "mail"})
    state.claim_host([LINK, VIP])
    state.set_mode(PAUSED)
    state.close()
    state = SqliteLocalState(path, "boot")
    found = (state.claims(), list(state.host_claims()), state.mode())
    state.close()
    assert ({WEB: "web", MARK: "mail"}, [LINK, VIP], PAUSED) == found


def test_another_boot_voids_the_claims_and_keeps_the_mode(path: Path) -> None:
    """They are dropped for good: going back to the first boot's identity restores nothing."""
    state = SqliteLocalState(path, "first")
    state.claim({WEB: "web"})
    state.claim_host([LINK])
    state.set_mode(PAUSED)
    state.close()
    found = []
    for boot_id in ("second", "first"):
        state = SqliteLocalState(path, boot_id)
        found.append((state.claims(), list(state.host_claims()), state.mode()))
        state.close()
    assert [({}, [], PAUSED)] * 2 == found


def test_a_damaged_file_is_refused_with_what_to_do(path: Path) -> None:
    """Claims can be had again by adopting."""
    path.write_bytes(b"garbage")
    with pytest.raises(StoreCorrupt, match=r"local state is damaged.*lvsctl service adopt --all"):
        SqliteLocalState(path, "boot")


def test_a_claim_that_nobody_wrote_is_refused(path: Path) -> None:
    """A cell changed behind lvsctl's back is damage; the lock is let go."""
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


def test_a_claim_of_another_version_is_refused(path: Path) -> None:
    """A row that is whole and yet is no key that is known."""
    state = SqliteLocalState(path, "boot")
    with state._database.transaction():
        state._database.write("claims", [('{"inode":5}', "web")])
    state.close()
    with pytest.raises(StoreCorrupt):
        SqliteLocalState(path, "boot")


def test_a_claim_that_does_not_fit_is_not_remembered(path: Path) -> None:
    """Memory never runs ahead of the disk: what was not stored is not ours."""
    state = SqliteLocalState(path, "boot")
    state._database._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        state.claim({WEB: "web"})
    with pytest.raises(StoreError):
        state.set_mode(PAUSED)
    found = (state.claims(), state.mode())
    state.close()
    assert ({}, Mode()) == found
