"""Killing a writer loses no acknowledged commit, and any loss is detected."""

import multiprocessing
import random
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from lvsctl.errors import StoreCorrupt
from lvsctl.store.position import Position
from lvsctl.store.sqlite import SqliteStore
from tests.contract.conftest import clock
from tests.contract.farm_files import POOLS_A_COMMIT, copied, outcome, pools, reopened
from tests.support.stores import commit

DAMAGED_BYTES = 64


def write_on(path: Path, acknowledge: Connection) -> None:
    """Commit for ever, and report each acknowledged position."""
    store = SqliteStore(path, clock)
    while True:
        commit(store, pools("p"))
        acknowledge.send(store.load().position)


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Return a context whose processes have everything loaded already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def killed_writer(
    processes: ForkServerContext, path: Path, after_s: float, commits: int = 0
) -> Position | None:
    """Let a process commit, kill it after a time, and return the last position it reported.

    Args:
        processes: Makes it.
        path: Of the store.
        after_s: How long it may run.
        commits: Begin to count then.
    """
    acknowledged, acknowledge = processes.Pipe(duplex=False)
    writer = processes.Process(target=write_on, args=(path, acknowledge), daemon=True)
    writer.start()
    acknowledge.close()
    last = None
    for _ in range(commits):
        last = acknowledged.recv()
    writer.join(after_s)
    writer.kill()
    writer.join()
    try:
        while True:
            last = acknowledged.recv()
    except EOFError:
        return last


def test_a_hundred_kills_lose_no_acknowledged_commit(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    """Every acknowledged revision is there, and each commit is complete or absent."""
    path = tmp_path / "farm.db"
    moments = random.Random(2)  # noqa: S311 - no secret
    revision = 0
    for round_ in range(100):
        after_s = moments.uniform(0, 0.02)
        last = killed_writer(processes, path, after_s, commits=1 + round_ % 3)
        assert last
        contents = reopened(path)
        assert revision < last.revision <= contents.revision <= last.revision + 1
        revision = contents.revision
        assert {revision} == {stored.revision for stored in contents.objects.values()}
        assert (POOLS_A_COMMIT, None) == (len(contents.objects), contents.lost)


def test_a_kill_during_creation_leaves_no_file_or_a_complete_one(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    """A half-written file is never taken for a store, and never prevents one."""
    for moment_ms in range(0, 24, 2):
        path = tmp_path / f"{moment_ms}" / "farm.db"
        last = killed_writer(processes, path, moment_ms / 1000)
        certain = last.revision if last else 0
        assert reopened(path).revision in (certain, certain + 1)


def test_a_journal_damaged_after_a_kill_is_detected(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    """Wherever the damage is: acknowledged commits are there, or their loss is reported."""
    path = tmp_path / "state" / "farm.db"
    path.parent.mkdir()
    draw = random.Random(3)  # noqa: S311 - no secret
    last = killed_writer(processes, path, 0, commits=5)
    assert last
    journal = path.with_name("farm.db-wal").read_bytes()
    outcomes = []
    for number in range(60):
        copy = copied(path, tmp_path / str(number))
        position = draw.randrange(len(journal) - DAMAGED_BYTES)
        damaged = bytearray(journal)
        damaged[position : position + DAMAGED_BYTES] = draw.randbytes(DAMAGED_BYTES)
        copy.with_name("farm.db-wal").write_bytes(damaged)
        found = outcome(copy)
        if isinstance(found, type):
            assert StoreCorrupt is found
            outcomes.append("refused")
        elif found.lost:
            assert last.revision <= found.lost.revision
            assert found.revision < found.lost.revision
            outcomes.append("lost")
        else:
            assert last.revision <= found.revision
            outcomes.append("whole")
    assert "lost" in outcomes
