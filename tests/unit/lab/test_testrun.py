"""Tests run in a guest: what is taken for a success, and what is not."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.lab.guest import CHECKOUT
from deploy.lab.testrun import find_faults

LAB = (sys.executable, "-m", "deploy.lab")
MARKED = "import os, pytest\npytestmark = pytest.mark.kernel\n"
GOOD = "def test_good(): pass\n"
SKIPPED = "@pytest.mark.skip\ndef test_skipped(): pass\n"
FAILED = "def test_failed(): assert 1 == 2\n"
BROKEN = "@pytest.fixture\ndef broken(): 1 / 0\ndef test_broken(broken): pass\n"


@pytest.mark.parametrize(
    ("tests", "faults"),
    [
        pytest.param([GOOD], [], id="good"),
        pytest.param([GOOD, GOOD], [], id="good twice"),
        pytest.param([GOOD, ""], [], id="no test left for a guest"),
        pytest.param([GOOD + SKIPPED], ["a test was skipped: in the lab each must run"]),
        pytest.param([GOOD, GOOD + FAILED], ["a test failed"], id="failed"),
        pytest.param([GOOD + BROKEN, GOOD], ["a test failed"], id="broken"),
        pytest.param(["", ""], ["no test was collected"], id="none"),
        pytest.param(["syntax error", GOOD], ["a test failed"], id="no Python"),
    ],
)
def test_what_counts_as_a_success(tmp_path: Path, tests: list[str], faults: list[str]) -> None:
    """Only a run in which tests ran, all of them, and none failed, is without fault."""
    outs, statuses = [], []
    for number, text in enumerate(tests):
        out = tmp_path / str(number)
        out.mkdir()
        (out / "test_it.py").write_text(MARKED + text)
        options = ("-m", "kernel", f"--junitxml={out / 'junit.xml'}", str(out / "test_it.py"))
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=False)
        outs.append(out)
        statuses.append(done.returncode)
    assert faults == find_faults(outs, statuses)


@pytest.mark.parametrize("status", [1, 2, 137])
def test_a_guest_that_fails_without_a_failed_test_is_a_fault(tmp_path: Path, status: int) -> None:
    """Pytest's own errors and an ended guest count, though each test that ran has passed."""
    suite = '<testsuites><testsuite tests="1" failures="0" errors="0" skipped="0"/></testsuites>'
    (tmp_path / "junit.xml").write_text(suite)
    assert [f"{tmp_path.name} ended with {status}"] == find_faults([tmp_path], [status])


@pytest.mark.parametrize(
    ("test", "said"),
    [
        pytest.param("def test_gone(): os._exit(0)\n", "left no result of its tests", id="gone"),
        pytest.param(
            "def test_left():\n    from deploy.lab.node import Node\n    Node('left', None)\n",
            "namespace left",
            id="namespace left behind",
        ),
    ],
)
def test_a_run_that_goes_wrong_fails(tmp_path: Path, test: str, said: str) -> None:
    """A test that takes pytest with it, or leaves something behind, fails the run."""
    file = tmp_path / "test_it.py"
    file.write_text(MARKED + test)
    options = ("--guests", "1", "--results", str(tmp_path / "results"))
    command = [*LAB, "test", *options, str(file)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert said in done.stdout + done.stderr


def test_two_guests_run_each_test_once(tmp_path: Path) -> None:
    """Four tests are two for each of two guests; both are in the sum."""
    file = tmp_path / "test_it.py"
    file.write_text(MARKED + "".join(f"def test_{number}(): pass\n" for number in range(4)))
    command = [*LAB, "test", "--results", str(tmp_path / "results"), str(file)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode
    assert "4 tests in 2 guests, 0 failed" in done.stdout
    assert ["2 passed", "2 passed"] == re.findall(r"\d+ passed", done.stdout)


def test_an_edited_test_is_run_again_in_the_same_guest(tmp_path: Path) -> None:
    """After Enter, the file is read as it is now, and its result is the new one."""
    file = tmp_path / "test_it.py"
    file.write_text(MARKED + GOOD)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(CHECKOUT)
        os.execv(LAB[0], [*LAB, "retest", "--color=no", str(file)])  # noqa: S606
    assert "1 passed" in _until_asked(terminal)
    file.write_text(MARKED + GOOD + FAILED)
    os.write(terminal, b"\n")
    assert "1 failed, 1 passed" in _until_asked(terminal)
    os.write(terminal, b"\x04")
    _, status = os.waitpid(pid, 0)
    assert 0 == os.waitstatus_to_exitcode(status)


def _until_asked(terminal: int) -> str:
    said = b""
    while b"Ctrl-D ends" not in said:
        said += os.read(terminal, 1024)
    return said.decode()
