"""What is wrong with a director itself: noticed, said once, tried again, over."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from lvsctl.director.problems import Component, DirectorProblem
from lvsctl.director.self_check import CHECK_EVERY_S, NEEDED_BYTES, disk_problem
from lvsctl.director.write.edits import PutFarm
from lvsctl.errors import StoreError
from lvsctl.events import EventKind
from lvsctl.farm.model import Farm
from lvsctl.reasons.director import DISK_FULL, NO_INODE, STATE_FOLDER_LOST
from lvsctl.reasons.errors import STORE_FAILED
from lvsctl.reasons.reason import ReasonKind
from lvsctl.store.interface import Mode
from tests.support.reasons import because
from tests.unit import virtual_time
from tests.unit.director.farms import pool, web
from tests.unit.director.test_daemon import Director
from tests.unit.director.test_events import of

FULL = "disk full; nothing was stored; free some space there"
KINDS = (EventKind.DIRECTOR_PROBLEM, EventKind.DIRECTOR_PROBLEM_OVER)


@pytest.fixture
def director() -> Director:
    return Director()


def problems(director: Director) -> Sequence[tuple[str, str]]:
    """Return what events say of the director itself."""
    return of(director, *KINDS)


def test_a_disk_without_room_is_a_problem_until_it_has_some(director: Director) -> None:
    """Found without a write, said once, and over by itself."""

    async def scenario() -> None:
        running = asyncio.create_task(director.daemon.run())
        director.disk = FULL
        await asyncio.sleep(3 * CHECK_EVERY_S)
        assert {Component.DISK: DirectorProblem(because(FULL))} == director.daemon.problems
        director.disk = ""
        await asyncio.sleep(2 * CHECK_EVERY_S)
        assert {} == director.daemon.problems
        assert [("disk", FULL), ("disk", f"no longer: {FULL}")] == problems(director)
        running.cancel()

    virtual_time.run(scenario())


def test_a_write_that_the_store_refuses_is_tried_until_it_does(director: Director) -> None:
    """Readiness comes back without somebody who writes."""

    async def scenario() -> None:
        running = asyncio.create_task(director.daemon.run())
        director.refuse(Component.STORE, FULL)
        with pytest.raises(StoreError):
            await director.daemon.writer.write(
                PutFarm(Farm({"web": web()}, {"web": pool(1)})), by="t"
            )
        await asyncio.sleep(3 * CHECK_EVERY_S)
        assert {
            Component.STORE: DirectorProblem(STORE_FAILED(error=FULL))
        } == director.daemon.problems
        director.refuse(Component.STORE, "")
        await asyncio.sleep(CHECK_EVERY_S)
        assert {} == director.daemon.problems
        assert 2 == len(problems(director))
        running.cancel()

    virtual_time.run(scenario())


def test_so_is_one_that_the_local_state_refuses(director: Director) -> None:
    """A mode that could not be kept, and a claim: then nothing is added to the kernel."""

    async def scenario() -> None:
        running = asyncio.create_task(director.daemon.run())
        director.refuse(Component.LOCAL_STATE, FULL)
        with pytest.raises(StoreError):
            await director.daemon.set_mode(Mode(reason="again"))
        assert [Component.LOCAL_STATE] == [*director.daemon.problems]
        director.refuse(Component.LOCAL_STATE, "")
        await asyncio.sleep(2 * CHECK_EVERY_S)
        assert {} == director.daemon.problems
        director.refuse(Component.LOCAL_STATE, FULL)
        await director.put_web(1)
        await asyncio.sleep(0.1)
        assert [Component.LOCAL_STATE] == [*director.daemon.problems]
        assert {} == director.bench.ipvs.snapshot()
        running.cancel()

    virtual_time.run(scenario())


def test_so_are_events(director: Director) -> None:
    """They are shown all the same, and written once there is room."""

    async def scenario() -> None:
        running = asyncio.create_task(director.daemon.run())
        director.refuse(Component.EVENTS, FULL)
        await director.put_web(1)
        await asyncio.sleep(2 * CHECK_EVERY_S)
        assert [Component.EVENTS] == [*director.daemon.problems]
        assert [] == list(director.event_log.load())
        director.refuse(Component.EVENTS, "")
        await asyncio.sleep(2 * CHECK_EVERY_S)
        assert {} == director.daemon.problems
        kept = [each.event.kind for each in director.event_log.load()]
        assert [EventKind.STORED, *KINDS] == [k for k in kept if k is not EventKind.KERNEL_CHANGED]
        running.cancel()

    virtual_time.run(scenario())


def test_a_folder_that_is_gone_is_a_problem_with_its_name(tmp_path: Path) -> None:
    """And so is one without room; one that is as it should be is none."""
    gone = tmp_path / "gone"
    lost = disk_problem(gone)
    assert lost is not None
    assert (STATE_FOLDER_LOST, str(gone)) == (lost.kind, lost.subject)
    found = os.statvfs(tmp_path)
    assert found.f_bavail * found.f_frsize > NEEDED_BYTES, "this test needs room"
    assert disk_problem(tmp_path) is None


@pytest.mark.parametrize(
    ("free_blocks", "free_inodes", "expected"),
    [(0, 10, DISK_FULL), (NEEDED_BYTES // 4096, 0, NO_INODE), (2049, 10, None)],
)
def test_what_is_free_decides(
    monkeypatch: pytest.MonkeyPatch, free_blocks: int, free_inodes: int, expected: ReasonKind | None
) -> None:
    """In bytes and in files."""
    found = os.statvfs_result(
        (4096, 4096, 100_000, free_blocks, free_blocks, 1000, free_inodes, free_inodes, 0, 255)
    )
    monkeypatch.setattr(os, "statvfs", lambda _: found)
    problem = disk_problem(Path("/var/lib/lvsctl"))
    assert expected == (problem.kind if problem else None)
