"""A farm in a real etcd of three members, seen by several directors, and what goes wrong there."""

import contextlib
import json
import signal
import ssl
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from click.testing import CliRunner

from lvsctl.cli.store import store as store_command
from lvsctl.errors import (
    ConfigurationError,
    Conflict,
    NotFound,
    StaleBase,
    StoreBehind,
    StoreError,
    StoreRefused,
    StoreTooNew,
    StoreUnavailable,
)
from lvsctl.farm.model import Pool, RealServer
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.commits import Reload, Retention
from lvsctl.store.etcd.address import open_etcd_store, parse_address
from lvsctl.store.etcd.gateway import RETRY_AFTER_S, Access, Gateway, text
from lvsctl.store.etcd.layout import CHUNK, Keys, encode_head
from lvsctl.store.etcd.log import EtcdLog
from lvsctl.store.etcd.replica import SqliteReplica
from lvsctl.store.etcd.store import FAILING_AFTER_S, EtcdStore
from lvsctl.store.etcd.watcher import LOOK_EVERY_S, LogWatcher
from lvsctl.store.factory import FILE, StoreLocation, open_store
from lvsctl.store.position import Position
from lvsctl.store.sqlite import SqliteStore
from lvsctl.store.transfer import etcd_status, export_farm, import_farm
from tests.contract.conftest import clock
from tests.support.etcd import Member, etcd_cluster, wait_until_healthy
from tests.support.stores import commit

BLUE = ObjectId(Kind.POOL, "blue")
GREEN = ObjectId(Kind.POOL, "green")
ELECTION_S = 4.0
WITHIN_S = 3.0


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Member]]:
    """Return the members of an etcd."""
    with etcd_cluster(tmp_path_factory.mktemp("cluster"), 3) as members:
        yield members


@pytest.fixture
def farm() -> str:
    """Return the name of a farm that nobody else uses."""
    return uuid.uuid4().hex


Open = Callable[..., EtcdStore]


@pytest.fixture
def director(members: list[Member], farm: str, tmp_path: Path) -> Iterator[Open]:
    """Return what opens the store of a director by its name, and closes it in the end."""
    with contextlib.ExitStack() as stack:

        def opened(name: str, kept: int = 1000) -> EtcdStore:
            address = parse_address(url(members, farm))
            replica = SqliteReplica(tmp_path / name / "farm.db", clock)
            store = EtcdStore(
                replica,
                address.open_log(),
                lambda head, announce: LogWatcher(address.open_log(), head, announce),
                clock,
                kept,
            )
            return stack.enter_context(contextlib.closing(store))

        yield opened
        wait_until_healthy(members)


def url(members: list[Member], farm: str) -> str:
    """Return what ``--store`` names."""
    return f"etcd://{','.join(each.url.removeprefix('http://') for each in members)}/{farm}"


def gateway(members: list[Member]) -> Gateway:
    """Return what asks these members."""
    return Gateway(Access([each.url for each in members]))


def until(condition: Callable[[], bool], within_s: float) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def leader(members: list[Member]) -> Member:
    """Return the member that leads."""
    for member in members:
        request = urllib.request.Request(  # noqa: S310 - our own URL
            f"{member.url}/v3/maintenance/status", b"{}", method="POST"
        )
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            status = json.load(answer)
        if status["leader"] == status["header"]["member_id"]:
            return member
    raise AssertionError("nobody leads")


def has_followed(store: EtcdStore, position: Position) -> Callable[[], bool]:
    """Return what tells whether a director has taken in what was committed up to there."""
    return lambda: store.load().position.holds(position)


# --- several directors ----------------------------------------------------------------------


def test_a_new_director_loads_what_is_there(director: Open) -> None:
    """The same farm at the same position."""
    first = director("lb1")
    commit(first, {BLUE: Pool("blue")})
    commit(first, {GREEN: Pool("green"), BLUE: None})
    assert first.load() == director("lb2").load()


def test_what_one_commits_the_others_are_told(director: Open) -> None:
    """With who, when and what, as in their own history."""
    first, second = director("lb1"), director("lb2")
    news = threading.Event()
    second.subscribe(news.set)
    commit(first, {BLUE: Pool("blue")}, by="anna")
    assert news.wait(3 * LOOK_EVERY_S)
    assert first.load() == second.load()
    assert first.history(10) == second.history(10)


def test_of_two_that_commit_one_is_told_to_judge_again(director: Open) -> None:
    """And has what the other committed from then on."""
    first, second = director("lb1"), director("lb2")
    base = first.load().position
    first.commit({BLUE: Pool("blue")}, base=base, expect={}, by="a", commit_id="a")
    with pytest.raises(StaleBase):
        second.commit({GREEN: Pool("green")}, base=base, expect={}, by="b", commit_id="b")
    (batch,) = second.changes_after(base, 10)
    assert ("a", {BLUE: Pool("blue")}) == (batch.id, batch.changes)


def test_a_director_that_was_away_takes_in_what_it_missed(director: Open) -> None:
    """From the log; its own file had the rest."""
    second = director("lb2")
    first = director("lb1")
    commit(first, {BLUE: Pool("blue")})
    until(has_followed(second, first.load().position), 3 * LOOK_EVERY_S)
    second.close()
    for _ in range(5):
        commit(first, {GREEN: Pool("green")})
    again = director("lb2")
    assert first.load() == again.load()
    assert [6, 5, 4, 3, 2, 1] == [each.revision for each in again.history(10)]


def test_a_director_that_was_away_too_long_loads_everything(director: Open) -> None:
    """The log was cut meanwhile; a snapshot stands for what is gone."""
    second = director("lb2")
    first = director("lb1", kept=3)
    commit(first, {BLUE: Pool("blue")})
    until(has_followed(second, first.load().position), 3 * LOOK_EVERY_S)
    position = second.load().position
    second.close()
    for weight in range(9):
        commit(first, {GREEN: Pool("green", real_servers=(server(weight),))})
    first.compact()
    assert 10 == len(first.history(100))
    again = director("lb2")
    assert first.load() == again.load()
    assert isinstance(again.changes_after(position, 10), Reload)
    assert first.load() == director("lb3").load()


def server(number: int) -> RealServer:
    """Return a real server."""
    return RealServer(f"rs{number}", IPv4Address(0xC0000200 + number))


def test_a_commit_of_any_size_is_one(
    director: Open, members: list[Member], farm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces where it is too large for one request, in snapshots too, which go with it."""
    monkeypatch.setattr("lvsctl.store.etcd.log.CHUNK", 1000)
    first = director("lb1", kept=2)
    pools = {
        ObjectId(Kind.POOL, f"p{n}"): Pool(
            f"p{n}", real_servers=tuple(server(1000 * n + i) for i in range(20))
        )
        for n in range(50)
    }
    commit(first, pools)
    assert 1 < chunks(members, farm)
    assert first.load() == director("lb2").load()
    for _ in range(6):
        commit(first, {BLUE: Pool("blue")})
    first.compact()
    assert first.load() == director("lb3").load()
    commit(first, dict.fromkeys(pools))
    for _ in range(6):
        commit(first, {BLUE: Pool("blue")})
    first.compact()
    assert 0 == chunks(members, farm)
    assert CHUNK < 1_500_000


def chunks(members: list[Member], farm: str) -> int:
    """Return how many pieces of bodies there are."""
    start = f"/lvsctl/{farm}/chunk/".encode()
    request = {"key": text(start), "range_end": text(start[:-1] + b"0"), "count_only": True}
    with contextlib.closing(gateway(members)) as asked:
        return int(asked.ask("kv/range", request, WITHIN_S).get("count", 0))


# --- etcd that does not answer --------------------------------------------------------------


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_leader_that_goes_costs_no_commit(
    director: Open, members: list[Member], fault: signal.Signals
) -> None:
    """Killed or hung: each commit that was acknowledged is there once, and the writer goes on."""
    first, second = director("lb1"), director("lb2")
    commit(first, {BLUE: Pool("blue")})
    gone = leader(members)
    try:
        gone.signal(fault)
        ids = [f"c{n}" for n in range(5)]
        for commit_id in ids:
            commit(first, {GREEN: Pool("green")}, commit_id=commit_id)
        until(has_followed(second, first.load().position), 3 * (LOOK_EVERY_S + ELECTION_S))
        assert ids == [each.id for each in second.history(5)][::-1]
        assert 6 == second.load().revision
    finally:
        if fault == signal.SIGKILL:
            gone.kill()
            gone.start()
        else:
            gone.signal(signal.SIGCONT)
        wait_until_healthy(members)


def test_without_a_majority_it_reads_and_refuses_writes(
    director: Open, members: list[Member]
) -> None:
    """Also one that starts then; both go on by themselves once the majority is back."""
    first = director("lb1")
    commit(first, {BLUE: Pool("blue")})
    before = first.load()
    stopped = members[1:]
    for member in stopped:
        member.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable) as refusal:
            commit(first, {GREEN: Pool("green")}, commit_id="late")
        assert "etcdctl" in str(refusal.value)
        with pytest.raises(StoreError):
            first.find_commit("late", before.position)
        until(lambda: says_so(first, before.position), 3 * (LOOK_EVERY_S + FAILING_AFTER_S))
        assert before == first.load()
        first.close()
        first = director("lb1")
        assert before == first.load()
    finally:
        for member in stopped:
            member.signal(signal.SIGCONT)
        wait_until_healthy(members)
    other = director("lb2")
    commit(other, {BLUE: None})
    until(has_followed(first, other.load().position), 3 * (LOOK_EVERY_S + ELECTION_S))
    assert other.load() == first.load()


def says_so(store: EtcdStore, position: Position) -> bool:
    """Return whether a director says that etcd is silent."""
    try:
        store.changes_after(position, 1)
    except StoreUnavailable:
        return True
    return False


def test_a_new_director_needs_etcd(tmp_path: Path) -> None:
    """It has nothing of its own to go on with."""
    address = parse_address("etcd://127.0.0.1:1/farm")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1"):
        open_etcd_store(address, tmp_path / "farm.db", clock, Retention())


class LosesAnswers(Gateway):
    """A gateway whose answers to transactions get lost, or which reaches nobody."""

    loses = 0
    is_cut_off = False

    def ask(self, path: str, document: object, within_s: float) -> dict[str, object]:
        if self.is_cut_off:
            raise StoreUnavailable("nobody is reached", was_sent=False)
        answer = super().ask(path, document, within_s)  # type: ignore[arg-type]
        if path == "kv/txn" and self.loses:
            self.loses -= 1
            raise StoreUnavailable("the answer was lost")
        return dict(answer)


def test_a_commit_whose_answer_was_lost_is_found(
    members: list[Member], farm: str, tmp_path: Path
) -> None:
    """By its id; the replica has it then. One that reached nobody was not stored."""
    asked = LosesAnswers(Access([each.url for each in members]))
    address = parse_address(url(members, farm))
    store = EtcdStore(
        SqliteReplica(tmp_path / "farm.db", clock),
        EtcdLog(asked, farm),
        lambda head, announce: LogWatcher(address.open_log(), head, announce),
        clock,
    )
    with contextlib.closing(store):
        base = store.load().position
        asked.loses = 1
        with pytest.raises(StoreUnavailable):
            commit(store, {BLUE: Pool("blue")}, commit_id="lost")
        assert 1 == store.find_commit("lost", base)
        base = store.load().position
        asked.is_cut_off = True
        with pytest.raises(StoreUnavailable):
            commit(store, {GREEN: Pool("green")}, commit_id="unsent")
        assert store.find_commit("unsent", base) is None
        asked.is_cut_off = False
        assert 1 == store.load().revision
        assert 2 == commit(store, {GREEN: Pool("green")})


def test_asking_again_appends_once(director: Open, members: list[Member], farm: str) -> None:
    """A transaction that is repeated after a lost answer finds what it did the first time."""
    store = director("lb1")
    commit(store, {BLUE: Pool("blue")})
    with contextlib.closing(parse_address(url(members, farm)).open_log()) as log:
        head = log.head(WITHIN_S)
        assert head is not None
        (entry,) = log.news_after(replace(head, position=replace(head.position, revision=0)), 1)[1]
        again = log.append(replace(head, mod_revision=1), entry, WITHIN_S)
    assert head == again


# --- etcd that has another farm -------------------------------------------------------------


def put_head(members: list[Member], farm: str, value: bytes | None) -> None:
    """Write something in place of a farm's head."""
    key = text(Keys(farm).head)
    with contextlib.closing(gateway(members)) as asked:
        if value is None:
            asked.ask("kv/deleterange", {"key": key}, WITHIN_S)
        else:
            asked.ask("kv/put", {"key": key, "value": text(value)}, WITHIN_S)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("harm", ["gone", "older", "another", "diverged"])
def test_an_etcd_that_lost_the_farm_is_not_followed(
    director: Open, members: list[Member], farm: str, harm: str, *, running: bool
) -> None:
    """Whatever came in its place, until a person begins a new epoch; others follow that."""
    store = director("lb1")
    commit(store, {BLUE: Pool("blue")})
    commit(store, {GREEN: Pool("green")})
    before = store.load()
    if not running:
        store.close()
    here = before.position
    with contextlib.closing(parse_address(url(members, farm)).open_log()) as log:
        head = log.head(WITHIN_S)
    assert head is not None
    harmed = {
        "gone": None,
        "older": replace(head, position=replace(here, revision=1)),
        "another": replace(head, position=replace(here, farm_id="another")),
        "diverged": replace(head, id="another"),
    }[harm]
    put_head(members, farm, harmed and encode_head(harmed))
    if not running:
        store = director("lb1")
    until(lambda: refuses(store), 3 * LOOK_EVERY_S)
    found = store.load()
    assert here == found.lost
    with pytest.raises(StoreBehind, match="start the director again"):
        store.check_writable()
    with pytest.raises(StoreBehind):
        store.changes_after(here, 1)

    begun = store.begin_epoch(here.farm_id, 2, "anna")
    assert (None, begun) == (store.load().lost, store.load().position)
    assert found.objects == store.load().objects
    assert begun.revision + 1 == commit(store, {BLUE: Pool("blue")})
    assert store.load() == director("lb2").load()


def refuses(store: EtcdStore) -> bool:
    """Return whether a director has seen that etcd is not to be followed."""
    try:
        commit(store, {BLUE: Pool("blue", real_servers=(server(1),))})
    except StoreBehind:
        return True
    except StaleBase:
        return False
    return False


def test_a_restored_farm_is_followed_once_a_person_said_so(director: Open) -> None:
    """By directors that had gone on further, too: the epoch is above theirs."""
    first, second = director("lb1"), director("lb2")
    commit(first, {BLUE: Pool("blue")})
    until(has_followed(second, first.load().position), 3 * LOOK_EVERY_S)
    first.begin_epoch(first.load().farm_id, 2, "anna")
    until(has_followed(second, first.load().position), 3 * LOOK_EVERY_S)
    assert first.load() == second.load()


def test_a_farm_of_a_newer_version_is_left_alone(
    director: Open, members: list[Member], farm: str
) -> None:
    """The director goes on with what it has and says so."""
    store = director("lb1")
    commit(store, {BLUE: Pool("blue")})
    before = store.load()
    put_head(members, farm, json.dumps({"format": 2}).encode())
    until(lambda: is_refused(store, StoreTooNew), 3 * LOOK_EVERY_S)
    assert before == store.load()


def is_refused(store: EtcdStore, error: type[StoreError]) -> bool:
    """Return whether the store refuses with such an error."""
    try:
        store.check_writable()
    except StoreError as refusal:
        return error.__name__ in repr(refusal) or "Upgrade" in str(refusal)
    return False


def test_a_damaged_replica_is_made_anew(members: list[Member], farm: str, tmp_path: Path) -> None:
    """It is set aside; etcd has everything."""
    address = parse_address(url(members, farm))
    path = tmp_path / "farm.db"
    with contextlib.closing(open_etcd_store(address, path, clock, Retention())) as store:
        commit(store, {BLUE: Pool("blue")})
        before = store.load()
    path.write_bytes(b"garbage")
    with contextlib.closing(open_etcd_store(address, path, clock, Retention())) as store:
        assert before == store.load()
    assert b"garbage" == path.with_name("farm.db.damaged").read_bytes()


# --- access ---------------------------------------------------------------------------------


def test_etcds_own_users(members: list[Member], farm: str) -> None:
    """A password, and what is said where it is wrong; a token that ended is asked for anew."""
    root = gateway(members)
    for path, document in [
        ("auth/user/add", {"name": "root", "password": "secret"}),
        ("auth/role/add", {"name": "root"}),
        ("auth/user/grant", {"user": "root", "role": "root"}),
        ("auth/enable", {}),
    ]:
        root.ask(path, document, WITHIN_S)
    endpoints = [each.url for each in members]
    owner = Gateway(Access(endpoints, "root", "secret"))
    try:
        assert EtcdLog(owner, farm).head(WITHIN_S) is None
        owner._token = "ended"  # noqa: S105
        assert EtcdLog(owner, farm).head(WITHIN_S) is None
        stranger = Gateway(Access(endpoints, "root", "wrong"))
        with pytest.raises(StoreRefused, match="--store-password-file"):
            EtcdLog(stranger, farm).head(WITHIN_S)
        stranger.close()
    finally:
        owner.ask("auth/disable", {}, WITHIN_S)
        owner.close()
        root.close()


@pytest.mark.parametrize("url", ["etcd://", "etcd://h:1", "http://h:1/f", "etcd://h:1/a b"])
def test_what_names_no_farm_is_refused(url: str) -> None:
    """With what is expected."""
    with pytest.raises(ConfigurationError, match=r"expected etcd://"):
        parse_address(url)


def test_an_address_names_members_user_and_farm(tmp_path: Path) -> None:
    """TLS by the scheme; a user needs a password."""
    with pytest.raises(ConfigurationError, match="--store-password-file"):
        parse_address("etcd://lb@h:1/f")
    secret = tmp_path / "password"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    tls = ssl.create_default_context()
    found = parse_address("etcd+tls://lb@10.0.0.1:2379,[2001:db8::1]:2379/web", secret, tls)
    endpoints = ("https://10.0.0.1:2379", "https://[2001:db8::1]:2379")
    assert (Access(endpoints, "lb", "secret", tls), "web") == (found.access, found.farm)


def test_it_gives_up_when_the_time_is_over() -> None:
    """Exactly then, having asked each member again and again."""
    now = [100.0]
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    asked = Gateway(Access(["http://127.0.0.1:1", "http://127.0.0.1:2"]), lambda: now[0], wait)
    with pytest.raises(StoreUnavailable) as refusal, contextlib.closing(asked):
        asked.ask("kv/range", {}, 1.02)
    assert 101.02 == pytest.approx(now[0])
    assert [RETRY_AFTER_S] * 20 == waits[:20]
    assert all(f"http://127.0.0.1:{port}" in str(refusal.value) for port in (1, 2))


# --- moving a farm --------------------------------------------------------------------------


def test_a_farm_moves_to_etcd_and_back(members: list[Member], farm: str, tmp_path: Path) -> None:
    """It keeps its identity, its revision and its objects; the importing director goes on."""
    source, target = tmp_path / "source", tmp_path / "target"
    with contextlib.closing(SqliteStore(source / FILE, clock)) as store:
        commit(store, {BLUE: Pool("blue")})
        commit(store, {GREEN: Pool("green")})
        before = store.load()
    location = StoreLocation(url(members, farm))
    assert before.position == import_farm(source, location)
    with contextlib.closing(open_store(location, source, clock, Retention())) as store:
        assert before == store.load()
        commit(store, {GREEN: None})
        after = store.load()
    assert after.position == export_farm(location, target)
    with contextlib.closing(SqliteStore(target / FILE, clock)) as store:
        assert after == store.load()


def test_a_move_overwrites_nothing(members: list[Member], farm: str, tmp_path: Path) -> None:
    """Neither a farm in etcd nor a file; what is missing is named."""
    location = StoreLocation(url(members, farm))
    with pytest.raises(NotFound, match=r"farm\.db does not exist"):
        import_farm(tmp_path, location)
    with pytest.raises(NotFound, match="etcd has no farm"):
        export_farm(location, tmp_path)
    SqliteStore(tmp_path / FILE, clock).close()
    import_farm(tmp_path, location)
    with pytest.raises(Conflict, match="etcdctl del"):
        import_farm(tmp_path, location)
    with pytest.raises(Conflict, match=r"farm\.db exists"):
        export_farm(location, tmp_path)


def test_what_etcd_holds_is_shown(director: Open, members: list[Member], farm: str) -> None:
    """Its members with the leader, where the farm is, and how long its log is."""
    store = director("lb1")
    commit(store, {BLUE: Pool("blue")})
    down = url(members, farm).replace("/" + farm, f",127.0.0.1:1/{farm}")
    found = etcd_status(StoreLocation(down))
    assert (store.load().position, 1, "") == (found.position, found.commits, found.problem)
    assert 1 == sum(each.leads for each in found.members)
    assert [True, True, True, False] == [not each.problem for each in found.members]


def test_the_command_line_moves_a_farm(members: list[Member], farm: str, tmp_path: Path) -> None:
    """And says where it is then."""
    SqliteStore(tmp_path / FILE, clock).close()
    where = ["--store", url(members, farm)]
    run = CliRunner()
    imported = run.invoke(store_command, ["import", *where, "--state-dir", str(tmp_path)])
    assert imported.output.startswith("imported revision 0 of epoch 1 of farm ")
    shown = run.invoke(store_command, ["status", *where, "-o", "json"])
    assert {"epoch": 1, "revision": 0} == {
        name: value
        for name, value in json.loads(shown.output)["position"].items()
        if name != "farm_id"
    }
    assert "LEADER" in run.invoke(store_command, ["status", *where]).output
    exported = ["export", *where, "--state-dir", str(tmp_path / "new")]
    assert run.invoke(store_command, exported).output.startswith("exported revision 0")
