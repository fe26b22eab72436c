"""What a disk, a kill and a stranger's file can do to the SQLite store."""

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsctl.errors import StoreCorrupt, StoreError, StoreTooNew
from lvsctl.farm import Pool
from lvsctl.objects import Kind, ObjectId
from lvsctl.store.local import SqliteLocalState
from lvsctl.store.protocol import Contents
from lvsctl.store.sqlite import SqliteStore

POOLS_A_COMMIT = 20


def clock() -> datetime:
    """Tell a time that stands still."""
    return datetime(2026, 1, 2, tzinfo=UTC)


def pools(prefix: str, count: int = POOLS_A_COMMIT) -> dict[ObjectId, Pool]:
    """Return changes that make so many pools."""
    return {ObjectId(Kind.POOL, f"{prefix}{n}"): Pool(f"{prefix}{n}") for n in range(count)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store is to be."""
    return tmp_path / "state" / "farm.db"


@pytest.fixture
def filled(path: Path) -> list[Contents]:
    """Make a store of three revisions and return what each left."""
    store = SqliteStore(path, clock)
    history = [store.load()]
    for prefix in "abc":
        store.commit(pools(prefix), {}, "test")
        history.append(store.load())
    store.close()
    return history


def reopened(path: Path) -> Contents:
    """Return what a store holds."""
    store = SqliteStore(path, clock)
    try:
        return store.load()
    finally:
        store.close()


def test_the_farm_survives_a_restart(path: Path, filled: list[Contents]) -> None:
    """Contents, revisions, order and farm_id are what they were."""
    assert filled[-1] == reopened(path)


def test_a_new_epoch_survives_a_restart(path: Path, filled: list[Contents]) -> None:
    """It is durable when it returns."""
    store = SqliteStore(path, clock)
    position = store.begin_epoch(filled[-1].farm_id, 2, "anna")
    store.close()
    assert (position, filled[-1].objects) == (reopened(path).position, reopened(path).objects)


def test_who_and_when_are_kept(path: Path) -> None:
    """The history knows each commit's time and author."""
    store = SqliteStore(path, clock)
    store.commit(pools("a"), {}, "anna")
    store.close()
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT revision, at, by FROM commits").fetchall()
    connection.close()
    assert [(1, "2026-01-02T00:00:00+00:00", "anna")] == rows


def test_it_is_durable_before_commit_returns(path: Path) -> None:
    """The journal is the write-ahead log, and every commit is synchronised."""
    store = SqliteStore(path, clock)
    settings = [store._database.query(f"PRAGMA {name}") for name in ("journal_mode", "synchronous")]
    store.close()
    full = 2
    assert [[("wal",)], [(full,)]] == settings


# --- kill -9 --------------------------------------------------------------------------------

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tests.contract.test_store_on_disk import pools
from lvsctl.store.sqlite import SqliteStore

print("ready", flush=True)
sys.stdin.readline()
store = SqliteStore(Path(sys.argv[1]), lambda: datetime.now(UTC))
while True:
    revision = store.commit(pools("p"), {}, "writer")
    print(revision, flush=True)
"""


def killed_writer(path: Path, after_s: float) -> int:
    """Let a process commit, kill it at a moment, and return the last revision it was told."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        assert b"ready\n" == writer.stdout.readline()
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(after_s)
        writer.send_signal(signal.SIGKILL)
        acknowledged = writer.stdout.read().split(b"\n")[:-1]
    return int(acknowledged[-1]) if acknowledged else 0


def test_a_kill_at_any_moment_leaves_a_valid_store(path: Path) -> None:
    """Every acknowledged revision is there, and of a commit everything or nothing."""
    moments = random.Random(2)  # noqa: S311 - no secret
    revision = 0
    for _ in range(10):
        certain = max(revision, killed_writer(path, moments.uniform(0, 0.04)))
        contents = reopened(path)
        revision = contents.revision
        assert revision in (certain, certain + 1)
        assert {revision} - {0} == {stored.revision for stored in contents.objects.values()}
        assert len(contents.objects) == (POOLS_A_COMMIT if revision else 0)
    assert revision > 0


def test_a_kill_while_the_file_is_made_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    """A half-made file is never taken for a store, and never in the way of one."""
    for moment_ms in range(0, 12, 2):
        path = tmp_path / f"{moment_ms}" / "farm.db"
        certain = killed_writer(path, moment_ms / 1000)
        assert reopened(path).revision in (certain, certain + 1)


# --- files that are not a store -------------------------------------------------------------


def outcome(path: Path) -> Contents | type[StoreError]:
    """Return what opening and loading a store gives, contents or the kind of refusal."""
    try:
        return reopened(path)
    except StoreError as refusal:
        return type(refusal)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Contents]:
    """Return the bytes of a store of several pages, and what it holds."""
    path = tmp_path_factory.mktemp("image") / "farm.db"
    store = SqliteStore(path, clock)
    for prefix in "ab":
        store.commit(pools(prefix), {}, "test")
    store.commit(dict.fromkeys(pools("a", 5)), {}, "test")
    contents = store.load()
    store.close()
    return path.read_bytes(), contents


@pytest.fixture
def damaged(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return what puts bytes where a store should be."""
    count = iter(range(100_000))

    def write(content: bytes) -> Path:
        path = tmp_path / str(next(count)) / "farm.db"
        path.parent.mkdir()
        path.write_bytes(content)
        return path

    return write


quickly = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
POSITIONS = st.integers(0, 2**24)
"""Of a byte or a bit, counted on from the beginning after the end."""


def flipped(content: bytes, positions: list[int]) -> bytes:
    """Return bytes with some bits the other way."""
    result = bytearray(content)
    for position in positions:
        byte, bit = divmod(position % (len(content) * 8), 8)
        result[byte] ^= 1 << bit
    return bytes(result)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"services: []\n", b"SQLite format 3\0"])
def test_a_file_of_something_else_is_refused(
    damaged: Callable[[bytes], Path], content: bytes
) -> None:
    """An empty file, zeros, a farm file, a bare header: damaged, with what to do."""
    path = damaged(content)
    with pytest.raises(StoreCorrupt) as refusal:
        reopened(path)
    assert str(path) in str(refusal.value)
    assert "Restore a copy" in str(refusal.value)
    assert "lvsctl apply" in str(refusal.value)
    assert content == path.read_bytes()


@quickly
@given(content=st.binary(max_size=8192))
def test_random_bytes_are_refused(damaged: Callable[[bytes], Path], content: bytes) -> None:
    """Garbage is never a store, and is left for a person to look at."""
    assert StoreCorrupt is outcome(damaged(content))


@quickly
@given(end=POSITIONS)
def test_a_truncated_file_is_refused(
    damaged: Callable[[bytes], Path], image: tuple[bytes, Contents], end: int
) -> None:
    """A file that ends too early is damaged, wherever it ends."""
    content, _ = image
    assert StoreCorrupt is outcome(damaged(content[: end % len(content)]))


@quickly
@given(positions=st.lists(POSITIONS, min_size=1))
def test_flipped_bits_are_refused_or_harmless(
    damaged: Callable[[bytes], Path], image: tuple[bytes, Contents], positions: list[int]
) -> None:
    """Never does a damaged file give a farm that differs from what was stored."""
    content, contents = image
    assert outcome(damaged(flipped(content, positions))) in (contents, StoreCorrupt, StoreTooNew)


@settings(quickly, max_examples=50)
@given(positions=st.lists(POSITIONS, min_size=1))
def test_a_damaged_journal_costs_no_more_than_its_commits(
    tmp_path_factory: pytest.TempPathFactory, positions: list[int]
) -> None:
    """With flipped bits in the write-ahead log, an earlier revision stands as a whole."""
    path = tmp_path_factory.mktemp("journal") / "farm.db"
    store = SqliteStore(path, clock)
    history = [store.load()]
    for prefix in "abc":
        store.commit(pools(prefix), {}, "test")
        history.append(store.load())
    copy = path.parent / "copy.db"
    copy.write_bytes(path.read_bytes())
    journal = path.with_name("farm.db-wal").read_bytes()
    store.close()
    copy.with_name("copy.db-wal").write_bytes(flipped(journal, positions))
    assert outcome(copy) in (*history, StoreCorrupt)


def test_a_document_that_nobody_wrote_is_refused(path: Path, filled: list[Contents]) -> None:
    """A cell changed behind lvsctl's back is damage, even where it is good JSON."""
    assert filled
    connection = sqlite3.connect(path)
    connection.execute("UPDATE objects SET document = replace(document, 'ipip', 'gre')")
    connection.commit()
    connection.close()
    with pytest.raises(StoreCorrupt, match="a row of its table objects"):
        reopened(path)


def test_text_that_is_no_utf_8_is_refused(path: Path, filled: list[Contents]) -> None:
    """SQLite keeps any bytes as text."""
    assert filled
    connection = sqlite3.connect(path)
    connection.execute("UPDATE objects SET name = CAST(x'ff' AS TEXT) WHERE name = 'a1'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreCorrupt, match="UTF-8"):
        reopened(path)


def test_a_document_of_another_version_is_refused(path: Path, filled: list[Contents]) -> None:
    """A row that is whole and yet is no object of a kind that is known."""
    assert filled
    store = SqliteStore(path, clock)
    with store._database.transaction():
        store._database.write("objects", [("pool", "x", 4, '{"name":"x","colour":"red"}')])
    with pytest.raises(StoreCorrupt, match=r"extra fields found \(colour\)"):
        store.load()
    store.close()


def test_a_journal_without_its_file_is_refused(path: Path, filled: list[Contents]) -> None:
    """A file moved away alone leaves commits behind; a new one would swallow them."""
    assert filled
    path.with_name("farm.db-wal").write_bytes(b"journal")
    path.unlink()
    with pytest.raises(StoreCorrupt, match=r"its journal farm\.db-wal is there, the file itself"):
        reopened(path)
    assert not path.exists()


def test_a_file_of_another_purpose_is_refused(path: Path) -> None:
    """The local state is a database of lvsctl, and not the store."""
    SqliteLocalState(path, "boot").close()
    with pytest.raises(StoreCorrupt, match="of another purpose"):
        reopened(path)


def test_a_newer_format_is_refused_with_its_writer(path: Path, filled: list[Contents]) -> None:
    """The message says which version wrote it and that it should be installed again."""
    assert filled
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"format 2, written by lvsctl 0\.1\.0.*Install"):
        reopened(path)
    assert before == path.read_bytes()


# --- a disk that refuses --------------------------------------------------------------------


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let every write beyond a size fail, as it would on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_commit_that_does_not_fit_is_refused_and_the_store_goes_on(path: Path) -> None:
    """Nothing of it is stored, and with room again the next commit is."""
    store = SqliteStore(path, clock)
    store.commit(pools("a"), {}, "test")
    before = store.load()
    with (
        files_no_larger_than(path.with_name("farm.db-wal").stat().st_size + 5000),
        pytest.raises(StoreError, match="nothing was stored") as refusal,
    ):
        store.commit(pools("b", 500), {}, "test")
    assert str(path) in str(refusal.value)
    assert before == store.load()
    assert 2 == store.commit(pools("c"), {}, "test")
    after = store.load()
    store.close()
    assert after == reopened(path)


def test_a_store_that_cannot_be_made_is_refused(path: Path) -> None:
    """With no room for the file nothing is left that would be taken for one."""
    path.parent.mkdir()
    with files_no_larger_than(100), pytest.raises(StoreError):
        SqliteStore(path, clock)
    assert not path.exists()
    assert 0 == reopened(path).revision


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The message names the path and the cause."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "farm.db"
    with pytest.raises(StoreError, match=r"cannot make .*/file: File exists"):
        SqliteStore(path, clock)


# --- two processes --------------------------------------------------------------------------


def test_a_second_process_is_refused_with_the_first_ones_number(path: Path) -> None:
    """Two directors never work on one state folder."""
    store = SqliteStore(path, clock)
    second = subprocess.run(
        [sys.executable, "-c", WRITER, str(path)],
        input=b"\n",
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert f"StoreError: {path} is in use by process {os.getpid()}:" in second.stderr.decode()
    assert 1 == store.commit(pools("a"), {}, "test")
    store.close()


def test_a_second_store_in_one_process_is_refused(path: Path) -> None:
    """A lock is held by an opening of the file, not by a process."""
    store = SqliteStore(path, clock)
    with pytest.raises(StoreError, match=f"is in use by process {os.getpid()}:"):
        SqliteStore(path, clock)
    store.close()


def test_the_lock_ends_with_the_store(path: Path) -> None:
    """Also when the file turned out to be damaged."""
    SqliteStore(path, clock).close()
    content = path.read_bytes()
    path.write_bytes(b"garbage")
    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            SqliteStore(path, clock)
    path.write_bytes(content)
    SqliteStore(path, clock).close()
