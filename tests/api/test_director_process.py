"""The installed commands as processes: a director is killed and comes back with its farm."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

LVSCTL = Path(sys.executable).with_name("lvsctl")
EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "farm.yaml"
DIRECTOR = (LVSCTL, "director", "run", "--ipvs", "memory", "--listen", "127.0.0.1:0")
KILLED = -signal.SIGKILL


@contextmanager
def director(state_dir: Path, ends: int, by: signal.Signals) -> Iterator[str]:
    """Run a director whose kernel is in memory; yield its address, then end it by a signal."""
    command = [*DIRECTOR, "--state-dir", state_dir]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            lines = (json.loads(line) for line in process.stderr)
            host, port = next(line["listen"] for line in lines if "listen" in line)
            yield f"http://{host}:{port}"
        finally:
            process.send_signal(by)
            status = process.wait()
    assert ends == status


def lvsctl(url: str, *arguments: str | Path) -> tuple[int, str]:
    """Run a command against a director and return its status and what it printed."""
    done = subprocess.run(
        [LVSCTL, *arguments, "--url", url], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_killed_director_comes_back_with_its_farm(tmp_path: Path) -> None:
    """What was answered is on the disk; SIGTERM ends it with status 0."""
    with director(tmp_path, KILLED, signal.SIGKILL) as url:
        status, printed = lvsctl(url, "apply", "-f", EXAMPLE)
        assert (0, True) == (status, "stored as revision 1" in printed)
        assert 0 == lvsctl(url, "server", "drain", "rs1")[0]
    with director(tmp_path, 0, signal.SIGTERM) as url:
        assert (0, "nothing to change\n") == lvsctl(url, "diff", "-f", EXAMPLE)
        assert "rs1   192.0.2.11  declared  draining" in lvsctl(url, "server", "list")[1]


def test_a_second_director_on_one_state_folder_is_refused(tmp_path: Path) -> None:
    """With status 1 and the first one's process."""
    with director(tmp_path, 0, signal.SIGTERM):
        second = subprocess.run(
            [*DIRECTOR, "--state-dir", tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
    assert 1 == second.returncode
    assert f"lvsctl: {tmp_path}/farm.db is in use by process " in second.stderr


def test_an_open_stream_of_events_ends_with_the_director(tmp_path: Path) -> None:
    """In order, with the last event on it, rather than broken when the stop loses its patience."""
    with ExitStack() as stack:
        with director(tmp_path, 0, signal.SIGTERM) as url:
            stream = stack.enter_context(httpx.stream("GET", f"{url}/v1/events", timeout=60))
            lines = stream.iter_lines()
            assert "id: 0" == next(lines)
            assert 0 == lvsctl(url, "apply", "-f", EXAMPLE)[0]
        assert "event: stored" in list(lines)


def test_a_director_starts_with_a_damaged_history_of_events(tmp_path: Path) -> None:
    """It is set aside and said, by an event and in the status; the director is ready."""
    tmp_path.joinpath("events.db").write_bytes(b"garbage")
    with director(tmp_path, 0, signal.SIGTERM) as url:
        printed = lvsctl(url, "status")[1]
        events = httpx.get(f"{url}/v1/events?after=0&follow=false").text
    (aside,) = tmp_path.glob("events.db.damaged-*Z")
    assert b"garbage" == aside.read_bytes()
    assert "director: events: the history of events could not be read" in printed
    assert str(aside) in printed
    assert "event: history-lost" in events
