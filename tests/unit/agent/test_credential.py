"""The agent's own credential: private, replaced whole, renewed before it ends."""

import asyncio
import os
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lvsctl.agent.config import AgentConfig
from lvsctl.agent.credential import RENEW_AFTER_S, Credential, keep_renewed, renew_if_old
from lvsctl.agent.joining import join
from lvsctl.errors import ConfigurationError, DirectorUnreachable, StoreError
from lvsctl.token_file import read_token
from tests.unit import virtual_time

OLD, NEW = "lvsctl_old-0123456789", "lvsctl_new-0123456789"


@pytest.fixture
def credential(tmp_path: Path) -> Credential:
    """One that was saved at the epoch."""
    credential = Credential(tmp_path)
    credential.save(OLD)
    os.utime(credential.path, (0, 0))
    return credential


def test_it_is_private_and_can_be_read_as_a_token(credential: Credential) -> None:
    """Also after it was replaced."""
    assert OLD == read_token(credential.path)
    credential.save(NEW)
    assert (NEW, 0o600) == (read_token(credential.path), credential.path.stat().st_mode & 0o777)
    assert [credential.path] == [*credential.path.parent.iterdir()]


def test_what_a_crash_left_is_replaced(credential: Credential) -> None:
    """Whatever its mode is."""
    unfinished = credential.path.with_name("credential.new")
    unfinished.touch(0o644)
    credential.save(NEW)
    assert 0o600 == credential.path.stat().st_mode & 0o777
    assert not unfinished.exists()


def test_a_disk_that_refuses_leaves_the_one_before(tmp_path: Path) -> None:
    """And says which file it is."""
    with pytest.raises(StoreError, match="credential cannot be written"):
        Credential(tmp_path / "none").save(NEW)


@pytest.mark.parametrize(
    ("age_s", "text"),
    [(-1.0, NEW), (0.0, OLD), (RENEW_AFTER_S - 1, OLD), (RENEW_AFTER_S, NEW), (400 * 86400.0, NEW)],
)
def test_it_is_renewed_when_it_is_old(credential: Credential, age_s: float, text: str) -> None:
    """Also by a server that was off for a year, and by one whose clock has gone back."""

    async def renew() -> str:
        return NEW

    with capture_logs():
        asyncio.run(renew_if_old(credential, renew, age_s))
    assert text == read_token(credential.path)


def test_a_director_that_does_not_answer_is_asked_again_later(credential: Credential) -> None:
    """The credential stays as it is."""

    async def renew() -> str:
        raise DirectorUnreachable("lb1 does not answer")

    with capture_logs() as logs:
        asyncio.run(renew_if_old(credential, renew, RENEW_AFTER_S))
    assert ["lb1 does not answer"] == [line["reason"] for line in logs]
    assert OLD == read_token(credential.path)


def test_a_renewal_that_failed_is_tried_again_soon(credential: Credential) -> None:
    """Less and less often: it may have expired already, and then the agent gets nothing new."""
    asked: list[float] = []

    async def renew() -> str:
        asked.append(asyncio.get_running_loop().time())
        raise DirectorUnreachable("lb1 does not answer")

    async def scenario() -> None:
        renewing = asyncio.create_task(keep_renewed(credential, renew, lambda: RENEW_AFTER_S))
        await asyncio.sleep(3600)
        renewing.cancel()

    with capture_logs():
        virtual_time.run(scenario())
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert len(pauses) > 12
    assert all(0.5 * min(2**n, 300) <= pause <= min(2**n, 300) for n, pause in enumerate(pauses))


def test_a_token_that_others_can_read_buys_nothing(tmp_path: Path) -> None:
    """Whoever read it may have joined already."""
    token = tmp_path / "token"
    token.touch(0o644)
    token.write_text(OLD)
    config = AgentConfig(("http://127.0.0.1:1",), (), "rs1", state_dir=tmp_path / "state")
    with pytest.raises(ConfigurationError, match="others can read"):
        join(config, token)
    assert not (tmp_path / "state").exists()
