"""The installed commands as processes: a director is killed and comes back with its farm."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from lvsctl.agent.config import AgentConfig
from lvsctl.agent.credential import Credential
from lvsctl.agent.joining import renewed
from tests.support.director_process import LVSCTL, director_command, director_process

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "farm.yaml"
KILLED = -signal.SIGKILL


def test_a_killed_director_comes_back_with_its_farm(tmp_path: Path) -> None:
    """What was answered is on the disk; SIGTERM ends it with status 0."""
    with director_process(tmp_path, KILLED, signal.SIGKILL) as director:
        status, printed = director.lvsctl("apply", "-f", EXAMPLE)
        assert (0, True) == (status, "stored as revision 1" in printed)
        assert 0 == director.lvsctl("server", "drain", "rs1")[0]
    with director_process(tmp_path) as director:
        assert (0, "nothing to change\n") == director.lvsctl("diff", "-f", EXAMPLE)
        assert "rs1   192.0.2.11  declared  draining" in director.lvsctl("server", "list")[1]


def test_systemd_is_told_that_it_serves_and_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """READY=1 when connections are accepted; the watchdog is fed again and again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        with director_process(tmp_path):
            told = {systemd.recv(100) for _ in range(4)}
    assert {b"READY=1", b"WATCHDOG=1"} == told


def test_a_second_director_on_one_state_folder_is_refused(tmp_path: Path) -> None:
    """With status 1 and the first one's process; the first keeps its socket."""
    with director_process(tmp_path) as director:
        second = subprocess.run(
            director_command(tmp_path), capture_output=True, text=True, check=False
        )
        assert 0 == director.lvsctl("service", "list")[0]
    assert 1 == second.returncode
    assert f"lvsctl: {tmp_path}/farm.db is in use by process " in second.stderr


def test_root_needs_no_token_over_the_unix_socket_and_everybody_does_over_tcp(
    tmp_path: Path,
) -> None:
    """Whoever may connect there is root or the director's own user."""
    with director_process(tmp_path) as director:
        assert 401 == httpx.get(f"{director.url}/v1/farm").status_code
        assert 200 == httpx.get(f"{director.url}/v1/farm", headers=director.headers).status_code
        transport = httpx.HTTPTransport(uds=str(director.socket))
        with httpx.Client(transport=transport, base_url="http://localhost") as client:
            assert 200 == client.get("/v1/farm").status_code
            event = client.put("/v1/mode", json={"mode": "observe"})
            assert 200 == event.status_code
        assert 0o600 == director.socket.stat().st_mode & 0o777
    assert not director.socket.exists()


def test_a_new_director_takes_tokens_that_root_creates(tmp_path: Path) -> None:
    """Over TCP nobody is let in before, and only the owner of a token after."""
    with director_process(tmp_path, shared=False) as director:
        farm = f"{director.url}/v1/farm"
        assert 401 == httpx.get(farm, headers=director.headers).status_code
        created = director.lvsctl("token", "create", "ci", "--role", "viewer", "-o", "json")[1]
        own = {"Authorization": f"Bearer {json.loads(created)['token']}"}
        assert 200 == httpx.get(farm, headers=own).status_code
        assert 403 == httpx.put(farm, headers=own, json={}).status_code
        assert 0 == director.lvsctl("token", "revoke", "ci")[0]
        assert 401 == httpx.get(farm, headers=own).status_code


def test_a_real_server_joins_with_a_token_and_renews_what_it_gets(tmp_path: Path) -> None:
    """Once; the token is used up, and the credential is its own."""
    state = tmp_path / "agent"
    with director_process(tmp_path, shared=False) as director:
        assert 0 == director.lvsctl("pool", "add", "web")[0]
        created = director.lvsctl("token", "create", "--pool", "web", "-o", "json")[1]
        token = tmp_path / "join"
        token.touch(0o600)
        token.write_text(json.loads(created)["token"])
        command = [LVSCTL, "agent", "join", "--director", director.url, "--token-file", token]
        command += ["--name", "rs1", "--address", "192.0.2.11", "--state-dir", state]
        first, again = (
            subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2)
        )
        assert (0, f"credential kept in {state}/credential\n") == (first.returncode, first.stdout)
        assert (0, "this agent has a credential already\n") == (again.returncode, again.stdout)
        late = subprocess.run(
            [*command[:-1], tmp_path / "other"], capture_output=True, text=True, check=False
        )
        assert (1, True) == (late.returncode, "asks for a token" in late.stderr)
        credential = Credential(state)
        before = credential.path.read_text()
        config = AgentConfig((director.url,), (), "rs1", state_dir=state)
        credential.save(asyncio.run(renewed(config, credential)))
        assert before != credential.path.read_text()
        own = {"Authorization": f"Bearer {credential.path.read_text().strip()}"}
        body = {"address": "192.0.2.11", "pools": ["web"]}
        agent = f"{director.url}/v1/agents/rs1"
        assert 201 == httpx.put(agent, headers=own, json=body).status_code
        assert 0 == director.lvsctl("agent", "revoke", "rs1")[0]
        assert 401 == httpx.get(f"{agent}/assignment", headers=own).status_code


def test_the_shared_token_of_earlier_versions_is_accepted_only_on_request(tmp_path: Path) -> None:
    """A director that was upgraded starts without it, and says what to do."""
    flags = ("--token-file", str(tmp_path / "token"))
    with director_process(tmp_path, shared=False, flags=flags) as director:
        printed = director.lvsctl("status")[1]
        assert 401 == httpx.get(f"{director.url}/v1/farm", headers=director.headers).status_code
        ready = httpx.get(f"{director.url}/readyz").json()
    assert "is not accepted, as it gives everybody every right" in printed
    assert "--shared-token-until DATE" in printed
    assert ["access"] == [each["name"] for each in ready["checks"] if each["detail"]]


@pytest.mark.parametrize(("until", "status"), [("2100-01-01", 200), ("2020-01-01", 401)])
def test_the_shared_token_is_accepted_until_its_end(
    tmp_path: Path, until: str, status: int
) -> None:
    """Then it is refused; the director itself goes on."""
    flags = ("--token-file", str(tmp_path / "token"), "--shared-token-until", until)
    with director_process(tmp_path, shared=False, flags=flags) as director:
        answer = httpx.get(f"{director.url}/v1/farm", headers=director.headers)
        assert f"is accepted only until {until}T00:00:00Z" in director.lvsctl("status")[1]
    assert status == answer.status_code


def test_a_socket_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    """Whoever listens there keeps it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(tmp_path / "s"))
        other.listen()
        refused = subprocess.run(
            director_command(tmp_path), capture_output=True, text=True, check=False
        )
    assert (1, True) == (refused.returncode, f"process {os.getpid()} listens" in refused.stderr)


def test_an_open_stream_of_events_ends_with_the_director(tmp_path: Path) -> None:
    """In order, with the last event on it, rather than broken when the stop loses its patience."""
    with ExitStack() as stack:
        with director_process(tmp_path) as director:
            events = f"{director.url}/v1/events"
            stream = stack.enter_context(
                httpx.stream("GET", events, headers=director.headers, timeout=60)
            )
            lines = stream.iter_lines()
            assert "id: 1" == next(lines)  # the shared token is a problem
            assert 0 == director.lvsctl("apply", "-f", EXAMPLE)[0]
        assert "event: stored" in list(lines)


def test_a_director_starts_with_a_damaged_history_of_events(tmp_path: Path) -> None:
    """It is set aside and said, by an event and in the status; the director is ready."""
    tmp_path.joinpath("events.db").write_bytes(b"garbage")
    with director_process(tmp_path) as director:
        printed = director.lvsctl("status")[1]
        address = f"{director.url}/v1/events?after=0&follow=false"
        events = httpx.get(address, headers=director.headers).text
    (aside,) = tmp_path.glob("events.db.damaged-*Z")
    assert b"garbage" == aside.read_bytes()
    assert "director: events: the history of events could not be read" in printed
    assert str(aside) in printed
    assert "event: history-lost" in events
