"""Exec probes: programs run as another user, with their target in the environment, and killed."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.lab.poll import poll
from lvsctl.farm.checks import ExecRequest
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.health.probes import exec  # noqa: A004 - the check's type
from lvsctl.health.programs.client import OwnPrograms
from lvsctl.health.programs.run import PATH
from lvsctl.health.target import Target
from lvsctl.reasons.probes import PROGRAM_NOT_RUN, PROGRAMS_OFF
from tests.unit.health.programs.program_folders import NOBODY, ROOT, TARGET, is_dead, write

LONG_S = 20.0


def service(folder: Path, owner: int | None = None) -> OwnPrograms:
    """Return a service for programs in a folder owned by the user who runs the tests."""
    return OwnPrograms(folder, NOBODY, os.geteuid() if owner is None else owner)


def outcome_of(folder: Path, *arguments: str, timeout_s: float = LONG_S) -> Outcome:
    """Run the program and return the outcome."""
    return asked(service(folder), ExecRequest("check", arguments), timeout_s)


def asked(
    programs: OwnPrograms, request: ExecRequest, timeout_s: float = LONG_S, target: Target = TARGET
) -> Outcome:
    """Run a program in a service, stop the service, and return the outcome of the probe."""
    with contextlib.closing(programs):
        return asyncio.run(exec.probe(request, target, timeout_s, programs))


def reason(outcome: Outcome) -> str:
    """Return why a probe failed."""
    assert isinstance(outcome, ProbeFailed), outcome
    return str(outcome.reason)


def test_a_program_that_exits_with_0_passes(folder: Path) -> None:
    """Whatever it prints."""
    write(folder, "echo fine; exit 0")
    assert isinstance(outcome_of(folder), Passed)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 2", "check: exited with 2"),
        ("echo trying; echo no  answer >&2; exit 1", "check: exited with 1, trying no answer"),
        ("kill -TERM $$", "check: SIGTERM"),
        ("kill -40 $$", "check: signal 40"),
        ("printf '\\377' ; exit 1", "check: exited with 1, \ufffd"),
    ],
)
def test_a_program_that_exits_otherwise_fails(folder: Path, script: str, expected: str) -> None:
    """With its exit status or signal, and its output."""
    write(folder, script)
    assert expected == reason(outcome_of(folder))


def test_a_program_may_print_much(folder: Path) -> None:
    """The end of it is kept, and a full pipe never blocks."""
    write(folder, "head -c 1000000 /dev/zero | tr '\\0' x; echo the end; exit 1")
    said = reason(outcome_of(folder))
    assert said.startswith("check: exited with 1, xxx")
    assert said.endswith("xxxthe end")
    assert len(said) < 250


def test_the_environment_is_the_target_only(folder: Path) -> None:
    """Nothing of the director's environment is passed on."""
    write(folder, "env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | sort; exit 1")
    expected = f"LVSCTL_PORT=80 LVSCTL_RIP=192.0.2.11 LVSCTL_VIP=198.51.100.10 PATH={PATH}"
    assert f"check: exited with 1, {expected}" == reason(outcome_of(folder))


def test_arguments_are_not_parsed_by_a_shell(folder: Path) -> None:
    """They are passed unchanged."""
    write(folder, 'printf "<%s>" "$@"; exit 1')
    arguments = ("$HOME", "; rm x", "", "a b", "*")
    expected = "check: exited with 1, <$HOME><; rm x><><a b><*>"
    assert expected == reason(outcome_of(folder, *arguments))


def test_a_program_runs_as_nobody(folder: Path) -> None:
    """Without the director's groups and files, and without a terminal or input."""
    write(folder, "id -u; id -G; pwd; cat; ls /proc/self/fd | wc -l; umask; exit 1")
    user = NOBODY if ROOT else os.geteuid()
    said = reason(outcome_of(folder)).split(", ")[1].split()
    assert [str(user), "/", "4", "0077"] == [said[0], *said[-3:]]
    if ROOT:
        assert [str(NOBODY)] == said[1:-3]


def test_a_program_is_killed_at_its_timeout(folder: Path) -> None:
    """With all processes that it started."""
    write(folder, f"sleep 1000 & echo $! >{folder}/child; trap '' TERM; wait")
    (folder / "child").touch(mode=0o666)
    (folder / "child").chmod(0o666)
    expected = "192.0.2.11:80: timed out after 2 s, waiting for check to end"
    assert expected == reason(outcome_of(folder, timeout_s=2.0))
    dies(int((folder / "child").read_text()))


def test_without_a_port_there_is_no_lvsctl_port(folder: Path) -> None:
    """A program may know its port itself."""
    write(folder, "exec sleep 1000")
    outcome = asked(service(folder), ExecRequest("check"), 0.5, replace(TARGET, port=0))
    expected = "192.0.2.11: timed out after 0.5 s, waiting for check to end"
    assert expected == reason(outcome)


def test_remaining_processes_are_killed(folder: Path) -> None:
    """A child that keeps the output open delays nothing, and does not survive its parent."""
    write(folder, "sleep 1000 & echo $!; exit 1")
    said = reason(outcome_of(folder))
    dies(int(said.split(", ")[1]))


def test_closing_the_output_is_not_the_end(folder: Path) -> None:
    """Only its exit counts."""
    write(folder, "exec >&- 2>&-; sleep 0.1; exit 3")
    assert "check: exited with 3" == reason(outcome_of(folder))


def dies(pid: int) -> None:
    """Check that a process was killed; it dies when it is next scheduled."""
    poll(lambda: is_dead(pid), 10)


def test_without_a_folder_no_program_is_run() -> None:
    """The message says how to configure one."""
    expected = Inconclusive(PROGRAMS_OFF("check"))
    assert expected == asyncio.run(exec.probe(ExecRequest("check"), TARGET, LONG_S, None))


@pytest.mark.parametrize("name", ["../check", "/bin/true", "", ".", "..", "sub/check"])
def test_nothing_outside_the_folder_is_run(folder: Path, name: str) -> None:
    """Whatever its name."""
    (folder / "sub").mkdir()
    write(folder / "sub", "exit 0")
    write(folder.parent, "exit 0", name=f"{folder.name}-check")
    try:
        outcome = asked(service(folder), ExecRequest(name))
    finally:
        (folder.parent / f"{folder.name}-check").unlink()
    assert (
        Inconclusive(PROGRAM_NOT_RUN(name, error=f"{name!r} is not a file name in {folder}"))
        == outcome
    )


def _missing(folder: Path) -> str:
    return f"{folder}/check: No such file or directory"


def _unsafe(path: Path) -> str:
    return f"{path}: only root may own and write it: chown root {path}; chmod go-w {path}"


def _writable(folder: Path) -> str:
    write(folder, "exit 0")
    (folder / "check").chmod(0o775)
    return _unsafe(folder / "check")


def _in_a_writable_folder(folder: Path) -> str:
    write(folder, "exit 0")
    folder.chmod(0o777)
    return _unsafe(folder)


def _a_link(folder: Path) -> str:
    (folder / "check").symlink_to("/bin/true")
    return f"{folder}/check is not a file"


def _a_folder(folder: Path) -> str:
    (folder / "check").mkdir()
    return f"{folder}/check is not a file"


def _not_executable(folder: Path) -> str:
    write(folder, "exit 0")
    (folder / "check").chmod(0o644)
    return f"{folder}/check cannot be run: Permission denied"


def _no_program(folder: Path) -> str:
    (folder / "check").write_text("exit 0")
    (folder / "check").chmod(0o755)
    return f"{folder}/check cannot be run: Exec format error"


@pytest.mark.parametrize(
    "prepare",
    [_missing, _writable, _in_a_writable_folder, _a_link, _a_folder, _not_executable, _no_program],
)
def test_an_unsafe_or_invalid_program_is_inconclusive(
    folder: Path, prepare: Callable[[Path], str]
) -> None:
    """The fault is in the director's configuration."""
    assert Inconclusive(PROGRAM_NOT_RUN("check", error=prepare(folder))) == outcome_of(folder)


def test_another_owner_is_refused(folder: Path) -> None:
    """Whoever could write the file could run programs as its user."""
    write(folder, "exit 0")
    outcome = asked(service(folder, owner=os.geteuid() + 1), ExecRequest("check"))
    assert isinstance(outcome, Inconclusive)


def test_a_cancelled_program_is_killed(folder: Path) -> None:
    """A director that stops leaves no programs behind."""
    write(folder, f"echo $$ >{folder}/started; exec sleep 1000")
    started = folder / "started"
    os.mkfifo(started)
    started.chmod(0o666)

    async def cancelled(programs: OwnPrograms) -> int:
        request = ExecRequest("check")
        probing = asyncio.create_task(exec.probe(request, TARGET, LONG_S, programs))
        pid = await asyncio.to_thread(started.read_text)
        probing.cancel()
        await asyncio.wait([probing])
        assert probing.cancelled()
        return int(pid)

    with contextlib.closing(service(folder)) as programs:
        dies(asyncio.run(cancelled(programs)))
