"""The agent's disk: whole files or old ones, damage named, one holder of the lock."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.agent import files
from lvsctl.agent.assignments import Assignments
from lvsctl.agent.config import AgentConfig
from lvsctl.agent.leave_files import LeaveProgress, LeaveRequest
from lvsctl.agent.record import Record, read_record, record_document
from lvsctl.agent.state_dir import Contact, StateDir, StatusSnapshot
from lvsctl.agent.status import status
from lvsctl.errors import ConfigurationError, InvalidInput, StoreCorrupt, StoreError, StoreTooNew
from lvsctl.host.baseline import BaselineEntry
from lvsctl.host.interface import Config, HostKey
from lvsctl.messages.model import Registration, Report
from tests.unit.agent.bench import RIP, VIPS, assigned

CONFIG = AgentConfig(
    directors=("https://lb1:8080", "https://lb2:8080"),
    pools=("web", "dns"),
    name="rs2",
    address=RIP,
    weight=7,
    state_dir=Path("/var/lib/x"),
    token_file=Path("/etc/lvsctl/token"),
)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "deep" / "state")


def test_what_was_kept_is_read_again(state: StateDir) -> None:
    """Everything, and None before."""
    known = StatusSnapshot(
        "rs2", Registration(RIP, ("web",)), Report("f1", VIPS, ()), Contact("lb1", "t")
    )
    request = LeaveRequest("id", 30, force=True)
    progress = LeaveProgress("id", ("one", "two"), left=False)
    assert (None, None, None, None, Assignments()) == (
        state.config(),
        state.load_status(),
        state.leave.request(),
        state.leave.progress(),
        state.assignments(),
    )
    state.save_config(CONFIG)
    state.save_assignments(assigned(*VIPS))
    state.save_status(known)
    state.leave.save_request(request)
    state.leave.save_progress(progress)
    assert (CONFIG, known, request, progress, assigned(*VIPS)) == (
        state.config(),
        state.load_status(),
        state.leave.request(),
        state.leave.progress(),
        state.assignments(),
    )


@given(
    st.dictionaries(
        st.from_type(HostKey),  # type: ignore[arg-type]
        st.builds(
            BaselineEntry,
            found=st.from_type(Config) | st.none(),  # type: ignore[arg-type]
            ours=st.lists(st.from_type(Config) | st.none(), max_size=3).map(tuple),  # type: ignore[arg-type]
        ),
        max_size=5,
    ),
    st.booleans(),
    st.booleans(),
)
def test_a_record_survives_the_disk(
    found: dict[HostKey, BaselineEntry],
    settled: bool,  # noqa: FBT001 - hypothesis passes by position
    lost: bool,  # noqa: FBT001
) -> None:
    """Every kind of key and configuration, in their order."""
    record = Record("boot", found, settled, lost)
    read = read_record(json.loads(json.dumps(record_document(record))))
    assert record == read
    assert list(found) == list(read.found)


def test_a_record_of_another_boot_is_empty(state: StateDir) -> None:
    """What it says is about a kernel that is no more."""
    record = Record("boot 1", {}, settled=True, lost=True)
    state.save_record(record)
    assert record == state.record("boot 1")
    assert Record("boot 2") == state.record("boot 2")


READS: list[tuple[str, Callable[[StateDir], object]]] = [
    ("assignments.json", lambda state: state.assignments()),
    ("found.json", lambda state: state.record("boot")),
    ("config.json", lambda state: state.config()),
    ("status.json", lambda state: state.load_status()),
    ("leave.json", lambda state: state.leave.request()),
    ("leave-progress.json", lambda state: state.leave.progress()),
]
DAMAGE = [
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[1]",
    b'{"version": 1}',
    b'{"version": 1, "content": {"farms": 3, "boot": 3, "id": 3, "name": 3, "directors": 3}}',
    b'{"version": 1, "content": null}',
]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(("name", "read"), READS, ids=[name for name, _ in READS])
def test_damage_is_named(
    state: StateDir, name: str, read: Callable[[StateDir], object], damage: bytes
) -> None:
    """Never a guess, never another error, and the file's name in the message."""
    (state.path / name).write_bytes(damage)
    with pytest.raises(StoreCorrupt, match=name):
        read(state)


@pytest.mark.parametrize(("name", "read"), READS, ids=[name for name, _ in READS])
def test_a_newer_file_is_refused(
    state: StateDir, name: str, read: Callable[[StateDir], object]
) -> None:
    """A newer lvsctl may mean something else by it."""
    (state.path / name).write_text('{"version": 2, "content": {}}')
    with pytest.raises(StoreTooNew, match="upgrade"):
        read(state)


def test_a_write_that_fails_leaves_the_old_file(state: StateDir) -> None:
    """Half a file is never seen."""
    state.save_assignments(assigned(*VIPS))
    (state.path / "assignments.json.new").mkdir()
    with pytest.raises(StoreError, match=r"assignments\.json"):
        state.save_assignments(assigned())
    assert assigned(*VIPS) == state.assignments()


def test_a_damaged_file_is_kept(tmp_path: Path) -> None:
    """Under a second name, the last one wins."""
    path = tmp_path / "x.json"
    for content in ("one", "two"):
        path.write_text(content)
        files.preserve_damaged(path)
        assert content == (tmp_path / "x.json.damaged").read_text()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="state"):
        StateDir(tmp_path / "file" / "state")


def test_the_lock_has_one_holder(state: StateDir) -> None:
    """Looking does not take it, and an end of its holder, however it comes, frees it."""
    other = StateDir(state.path).lock
    assert (None, True, False, os.getpid()) == (
        other.holder(),
        state.lock.try_acquire(),
        other.try_acquire(),
        other.holder(),
    )
    state.lock.release()
    assert (None, True) == (other.holder(), other.try_acquire())
    other.release()


def test_a_killed_holder_frees_the_lock(state: StateDir) -> None:
    """The kernel takes it back."""
    hold = (
        "import sys; from pathlib import Path; from lvsctl.agent.lock import Lock\n"
        "lock = Lock(Path(sys.argv[1])); print(lock.try_acquire(), flush=True); sys.stdin.read()"
    )
    path = state.path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert "True\n" == holder.stdout.readline()
        assert holder.pid == state.lock.holder()
        holder.kill()
    assert state.lock.holder() is None


def test_clearing_keeps_the_lock_and_the_answer(state: StateDir) -> None:
    """Whoever asked the agent to leave can still read how it went."""
    state.lock.try_acquire()
    state.save_config(CONFIG)
    state.save_record(Record("boot"))
    state.save_assignments(assigned(*VIPS))
    state.leave.save_request(LeaveRequest("id", 1, force=False))
    state.leave.save_progress(LeaveProgress("id", (), left=True))
    state.clear()
    assert {"lock", "leave-progress.json"} == {path.name for path in state.path.iterdir()}
    state.lock.release()


def test_status_of_an_agent_that_does_not_run(state: StateDir) -> None:
    """What it last knew, and that no process holds the lock."""
    known = StatusSnapshot("rs2", Registration(RIP, ("web",)), Report("f1", VIPS, ()), Contact())
    state.save_status(known)
    state.save_assignments(assigned(*VIPS))
    shown = status(state.path)
    assert ("rs2", None, VIPS, False) == (
        shown.name,
        shown.process,
        shown.assignments[0].vips,
        shown.leaving,
    )
    state.leave.save_request(LeaveRequest("id", 1, force=False))
    assert status(state.path).leaving
    state.lock.try_acquire()
    assert os.getpid() == status(state.path).process
    state.lock.release()


def test_status_without_an_agent(tmp_path: Path) -> None:
    """A folder without an agent is named, and none is made."""
    with pytest.raises(ConfigurationError, match="nowhere"):
        status(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_record_that_is_none_is_refused() -> None:
    """Each wrong part by its pointer."""
    with pytest.raises(InvalidInput) as caught:
        read_record({"boot": 1, "lines": [{"key": {"what": "LinkKey"}, "found": None, "ours": []}]})
    pointers = {problem.pointer for problem in caught.value.problems}
    assert {"/boot", "/lines/0/key/name", "/settled", "/lost"} == pointers


def test_addresses_are_written_as_text(state: StateDir) -> None:
    """The files are for people too."""
    state.save_assignments(assigned(IPv4Address("198.51.100.10")))
    assert '"198.51.100.10"' in (state.path / "assignments.json").read_text()
