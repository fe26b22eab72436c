"""What others commit reaches the event loop, and old history is forgotten."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lvsctl.director.write.committer import Committer, EditContext
from lvsctl.director.write.edits import PutFarm, PutObject
from lvsctl.director.write.follower import COMPACT_EVERY_S, Follower
from lvsctl.errors import StoreError
from lvsctl.farm.model import Farm
from lvsctl.store.commits import Retention
from lvsctl.store.memory import MemoryStore
from tests.support.reasons import codes
from tests.support.workers import InlineWorker
from tests.unit import virtual_time
from tests.unit.director.farms import WEB_ID, pool, web

if TYPE_CHECKING:
    from lvsctl.director.write.advance import Advance
    from lvsctl.reasons.reason import Reason


FARM = Farm({"web": web()}, {"web": pool(1)})


class Followed:
    """A store with two directors, of which one follows the other."""

    def __init__(self) -> None:
        self.store = MemoryStore(retention=Retention(commits=2))
        self.own, self.other = Committer(self.store), Committer(self.store)
        self.steps: list[Advance] = []
        self.errors: list[Reason] = []
        worker = InlineWorker("test")
        self.follower = Follower(self.own, worker, self.steps.append, self.errors.append)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the follower run."""
        tasks = [
            asyncio.create_task(self.follower.run()),
            asyncio.create_task(self.follower.compact()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    def commit(self, scheduler: str) -> None:
        """Let the other director write."""
        farm = replace(FARM, services={"web": web(scheduler=scheduler)})
        self.other.commit(PutFarm(farm), {}, "the other", EditContext())

    @property
    def schedulers(self) -> list[str]:
        """What each step has led to."""
        return [each.after.farm.services["web"].scheduler for each in self.steps]


@pytest.fixture
def followed() -> Followed:
    """Return two directors on a store."""
    return Followed()


def test_what_another_commits_is_followed_at_once(followed: Followed) -> None:
    """Before this began to listen and after, by whom it was, until it ends."""

    async def scenario() -> None:
        followed.commit("lc")
        with followed.running():
            await asyncio.sleep(0.001)
            followed.commit("wrr")
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)
        followed.commit("sed")
        await asyncio.sleep(0.001)

    virtual_time.run(scenario())
    assert ["lc", "wrr"] == followed.schedulers
    assert {"the other"} == {each.by for each in followed.steps}


def test_own_steps_are_taken_in_once(followed: Followed) -> None:
    """By whoever wrote, at once; the announcement brings nothing more."""

    async def scenario() -> None:
        followed.commit("lc")
        with followed.running():
            await asyncio.sleep(0.001)
            edit = PutObject(WEB_ID, web(scheduler="wrr"))
            followed.own.commit(edit, {}, "test", EditContext())
            followed.follower.take_in()
            assert ["lc", "wrr"] == followed.schedulers
            await asyncio.sleep(0.001)
        assert ["lc", "wrr"] == followed.schedulers

    virtual_time.run(scenario())


def test_a_store_that_cannot_be_read_is_told_and_read_again(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next announcement, with what was missed."""

    def fail(*_: object) -> None:
        raise StoreError("the disk does not answer")

    async def scenario() -> None:
        with followed.running():
            await asyncio.sleep(0.001)
            with monkeypatch.context() as patched:
                patched.setattr(followed.own, "catch_up", fail)
                followed.commit("lc")
                await asyncio.sleep(0.001)
            assert (["store-failed"], []) == (codes(followed.errors), followed.steps)
            followed.commit("wrr")
            await asyncio.sleep(0.001)
        assert ["wrr"] == followed.schedulers

    virtual_time.run(scenario())


def test_history_is_forgotten_from_time_to_time(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start and later; a disk that fails in between is tried again."""

    def fail() -> bool:
        raise StoreError("the disk does not answer")

    def revisions() -> list[int]:
        return [each.revision for each in followed.store.history(10)]

    async def scenario() -> None:
        for scheduler in ("lc", "wrr", "sed"):
            followed.commit(scheduler)
        with followed.running():
            await asyncio.sleep(0.001)
            assert [3, 2] == revisions()
            followed.commit("lc")
            with monkeypatch.context() as patched:
                patched.setattr(followed.own, "compact", fail)
                await asyncio.sleep(COMPACT_EVERY_S)
            assert [4, 3, 2] == revisions()
            await asyncio.sleep(COMPACT_EVERY_S)
            assert [4, 3] == revisions()

    virtual_time.run(scenario())
