"""Guests, booted: what their job says and leaves, how they end, that they cannot harm the host."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.lab.errors import LabError
from deploy.lab.guest import CHECKOUT, job_script, size_in_bytes, unused_cpu
from deploy.lab.poll import poll

EXEC = (sys.executable, "-m", "deploy.lab", "exec")


def _exec(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EXEC, *arguments], capture_output=True, text=True, cwd=CHECKOUT, check=False
    )


def test_the_jobs_words_and_status_come_back(tmp_path: Path) -> None:
    """Output, errors and exit status are the job's; what it wrote to /out is there."""
    script = "id -u; pwd; echo $LAB; echo wrong >&2; echo left >/out/file; exit 7"
    done = _exec("--out", str(tmp_path), "--", "sh", "-c", script)
    assert (7, f"0\n{CHECKOUT}\nguest\n", "wrong\n") == (done.returncode, done.stdout, done.stderr)
    assert "left\n" == (tmp_path / "file").read_text()


def test_the_job_runs_the_checkouts_python(tmp_path: Path) -> None:
    """The checkout's interpreter and its packages are the job's."""
    code = "import pyroute2, sys; print(sys.prefix)"
    assert f"{sys.prefix}\n" == _exec("--out", str(tmp_path), "--", "python", "-c", code).stdout


def test_every_user_reaches_the_checkout(tmp_path: Path) -> None:
    """Though the host lets nobody into the home that it, or Python, is in."""
    # A shell, as setpriv itself still has root's rights where it executes the command.
    nobody = ("setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", 'exec "$@"', "sh")
    code = "import encodings.idna, lvsctl; print(lvsctl.__file__)"
    done = _exec("--out", str(tmp_path), "--", *nobody, sys.executable, "-c", code)
    assert f"{CHECKOUT}/lvsctl/__init__.py\n" == done.stdout, done.stderr


def test_much_output_comes_whole(tmp_path: Path) -> None:
    """A megabyte arrives byte for byte, up to its last line before the power goes off."""
    done = _exec("--out", str(tmp_path), "--", "seq", "1", "150000")
    assert "".join(f"{number}\n" for number in range(1, 150001)) == done.stdout


def test_the_guests_root_cannot_write_the_host(tmp_path: Path) -> None:
    """Even with the host's files mounted writable from within, only /out can be written.

    An unprivileged user's guest may do what that user may, so less is asked of it. Each attempt is
    harmless where it succeeds: a file is opened but not written, a mode is set to what it is.
    """
    out = tmp_path / "out"
    folders = ["/", "/etc", "/usr/bin"]
    files = ["/etc/passwd", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/notes"]
    if os.geteuid() == 0:
        folders += [str(CHECKOUT), str(tmp_path), "/root", "/var/tmp", "/dev", "/dev/shm"]  # noqa: S108
        files += ["/sys/power/state", f"/proc/{os.getpid()}/mem", "/dev/kmsg", str(Path(__file__))]
    marker = f"lvsctl-lab-{out.parent.name}-{os.getpid()}"
    attempts = [
        *(f"touch /mnt{folder}/{marker}" for folder in folders),
        *(f"chmod $(stat -c %a /mnt{folder}) /mnt{folder}" for folder in folders),
        *(f": >>/mnt{file}" for file in files),
        f"echo control >/mnt{out}/written",
    ]
    script = "mount -t hostfs -o / host /mnt || exit 9; mount -o remount,rw /mnt\n"
    for attempt in attempts:
        script += f"if sh -c {shlex.quote(attempt)} 2>/dev/null; then echo {attempt!r}; fi\n"
    try:
        done = _exec("--out", str(out), "--", "sh", "-c", script)
        reached = [folder for folder in folders if (Path(folder) / marker).exists()]
    finally:
        for folder in folders:
            (Path(folder) / marker).unlink(missing_ok=True)
    assert [] == reached
    assert [attempts[-1]] == done.stdout.splitlines()
    assert "control\n" == (out / "written").read_text()


def test_a_panic_is_a_failure(tmp_path: Path) -> None:
    """A guest that panics is an error that shows the kernel's last words."""
    done = _exec("--out", str(tmp_path), "--", "sh", "-c", "echo c >/proc/sysrq-trigger")
    assert 1 == done.returncode
    assert "Kernel panic - not syncing: sysrq triggered crash" in done.stderr


def test_a_power_off_without_a_status_is_a_failure(tmp_path: Path) -> None:
    """A guest that is switched off under its job has not succeeded."""
    done = _exec("--out", str(tmp_path), "--", "sh", "-c", "echo o >/proc/sysrq-trigger; sleep 9")
    assert 1 == done.returncode
    assert "ended without its job's exit status" in done.stderr


def test_a_job_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """The time limit ends the guest, says so, and leaves none of its processes."""
    with _started(tmp_path, "--time-limit", "6", job="echo ready; sleep 3600") as launcher:
        guests = _children_of(launcher.pid)
        _, errors = launcher.communicate(timeout=30)
    assert 1 == launcher.returncode
    assert b"not done after 6 s" in errors
    poll(lambda: [pid for pid in guests if _runs(pid)], 15, until=lambda left: not left)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_guest_ends_with_its_launcher(tmp_path: Path, number: signal.Signals) -> None:
    """Whatever ends the launcher ends the guest; what it had written a second ago is kept."""
    job = "echo begun >/out/file; sleep 2; echo ready; sleep 3600"
    with _started(tmp_path, job=job) as launcher:
        guests = _children_of(launcher.pid)
        assert guests
        launcher.send_signal(number)
        launcher.communicate(timeout=30)
    poll(lambda: [pid for pid in guests if _runs(pid)], 15, until=lambda left: not left)
    assert "begun\n" == (tmp_path / "file").read_text()
    assert not (tmp_path / "rc").exists()


def test_two_guests_at_once(tmp_path: Path) -> None:
    """Two guests run beside each other, each pinned to the processor that it was given."""
    given = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    job = "echo ready; while [ ! -e /out/go ]; do sleep 0.1; done"
    with (
        _started(tmp_path / "a", "--cpu", str(given[0]), job=job) as first,
        _started(tmp_path / "b", "--cpu", str(given[1]), job=job) as second,
    ):
        pinned = [_cpus_of(launcher.pid) for launcher in (first, second)]
        for out in ("a", "b"):
            (tmp_path / out / "go").touch()
        for launcher in (first, second):
            launcher.communicate(timeout=30)
    assert [0, 0] == [first.returncode, second.returncode]
    assert [{given[0]}, {given[1]}] == pinned


def test_guests_take_processors_of_their_own(tmp_path: Path) -> None:
    """While there are unused processors each guest has one; after that two share each."""
    allowed = os.sched_getaffinity(0)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            taken = {stack.enter_context(unused_cpu(tmp_path)) for _ in allowed}
            assert allowed == taken
        assert stack.enter_context(unused_cpu(tmp_path)) in allowed
    with unused_cpu(tmp_path) as cpu:
        assert max(allowed) == cpu


@contextlib.contextmanager
def _started(out: Path, *options: str, job: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a guest and wait until its job says that it is ready."""
    command = [*EXEC, "--out", str(out), *options, "--", "sh", "-c", job]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=pipe, stderr=pipe) as launcher:
        try:
            assert launcher.stdout is not None
            assert b"ready\n" == launcher.stdout.readline()
            yield launcher
        finally:
            launcher.terminate()


def _children_of(pid: int) -> set[int]:
    """List all processes below one."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = {int(pid): int(ppid) for pid, ppid in map(str.split, listed.stdout.splitlines())}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _cpus_of(launcher: int) -> set[int]:
    """Find the processors that a launcher's guest may use."""
    allowed = []
    for pid in _children_of(launcher):
        with contextlib.suppress(ProcessLookupError):  # the guest's own come and go
            allowed.append(os.sched_getaffinity(pid))
    return set.intersection(*allowed)


@pytest.mark.parametrize(("text", "size"), [("1M", 1 << 20), ("768M", 768 << 20), ("2G", 2 << 30)])
def test_sizes_of_memory(text: str, size: int) -> None:
    """A size is read in bytes."""
    assert size == size_in_bytes(text)


@pytest.mark.parametrize("text", ["", "1", "0G", "1T", "1.5G", "-1G", "1G "])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    """What the kernel would not take is refused before it boots."""
    with pytest.raises(LabError, match="a number followed by M or G, such as 1G"):
        size_in_bytes(text)


def test_a_job_is_quoted(tmp_path: Path) -> None:
    """Each argument and variable reaches the command as it is, whatever is in it."""
    arguments = ["two words", "$HOME", "'", '"', "a\nb", ""]
    code = "import os, sys; print([*sys.argv[1:], os.environ['ODD']])"
    script = tmp_path / "job"
    script.write_text(job_script([sys.executable, "-c", code, *arguments], {"ODD": "'$x y"}))
    said = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=True).stdout
    assert f"{[*arguments, chr(39) + '$x y']}\n" == said
