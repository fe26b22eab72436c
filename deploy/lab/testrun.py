"""Running pytest in guests, several at once, and judging what came of it."""

import contextlib
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.lab.errors import LabError
from deploy.lab.guest import CHECKOUT, LAB_BUILD
from deploy.lab.shares import read_durations, write_durations

SUITES = ("tests/kernel", "tests/contract")
_TEST_LIMIT_S = 120
_NOTHING_COLLECTED = 5
_LEAVING_RESULTS = 'COVERAGE_FILE=$LAB_OUT/.coverage exec "$@" --junitxml="$LAB_OUT/junit.xml"'


@dataclass(frozen=True, slots=True)
class Tally:
    """What a guest's JUnit file counts."""

    tests: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.tests + other.tests, self.failed + other.failed, self.skipped + other.skipped
        )


def run_tests(
    arguments: Sequence[str],
    *,
    results: Path,
    guests: int,
    memory: str,
    time_limit_s: float,
    coverage: bool,
) -> int:
    """Run the tests that need the lab's kernel, shared out to guests.

    Args:
        arguments: For pytest. Paths among them replace the suites.
        results: The folder for what each guest leaves: JUnit file, logs, coverage data.
        guests: How many at once.
        memory: Of each, such as 1G.
        time_limit_s: For each guest.
        coverage: Whether to measure it.

    Returns:
        0 if at least one test ran, none failed and none was skipped, else 1.
    """
    began = time.monotonic()
    paths = [argument for argument in arguments if (CHECKOUT / argument.split("::")[0]).exists()]
    options = [argument for argument in arguments if argument not in paths]
    shutil.rmtree(results, ignore_errors=True)
    outs = [results / f"guest{number}" for number in range(1, guests + 1)]
    limits = ("--memory", memory, "--time-limit", str(time_limit_s))
    with contextlib.ExitStack() as stack:
        running = []
        for number, out in enumerate(outs, start=1):
            share = f"--share={number}/{guests}"
            command = _pytest([*options, share, *(paths or SUITES)], coverage=coverage)
            exec_ = [sys.executable, "-m", "deploy.lab", "exec", "--out", str(out), *limits, "--"]
            process = subprocess.Popen([*exec_, *command], cwd=CHECKOUT, stdout=subprocess.PIPE)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            printer = threading.Thread(target=_print_lines, args=(process, out.name))
            printer.start()
            running.append((process, printer))
        for process, printer in running:
            printer.join()
            process.wait()
    guest_s = _record_durations(outs)
    print(f"lab: the tests took {guest_s:.0f} s of the guests' time")
    return _judge(outs, [process.returncode for process, _ in running], time.monotonic() - began)


def _pytest(arguments: Sequence[str], *, coverage: bool) -> list[str]:
    measured = ("-m", "coverage", "run") if coverage else ()
    return [
        *("sh", "-c", _LEAVING_RESULTS, "sh", "python", *measured),
        *("-m", "deploy.lab.run_pytest", "-p", "deploy.lab.fixtures", "-p", "deploy.lab.shares"),
        # What the lab's tests do not use, and what would take two seconds to import in a guest.
        *("-p", "no:cacheprovider", "-p", "no:schemathesis"),
        *("-m", "kernel", f"--timeout={_TEST_LIMIT_S}", "--durations=10"),
        f"--color={'yes' if sys.stdout.isatty() else 'no'}",
        *arguments,
    ]


def _print_lines(process: "subprocess.Popen[bytes]", name: str) -> None:
    for line in process.stdout or ():
        print(f"{name}: {line.decode(errors='replace')}", end="", flush=True)


def _judge(outs: Sequence[Path], statuses: Sequence[int], took_s: float) -> int:
    tally = sum((_tally(out) for out in outs), Tally())
    print(
        f"lab: {tally.tests} tests in {len(outs)} guests, {tally.failed} failed, "
        f"{tally.skipped} skipped, {took_s:.0f} s; logs in {outs[0].parent}"
    )
    faults = find_faults(outs, statuses)
    for fault in faults:
        print(f"lab: {fault}", file=sys.stderr)
    return 1 if faults else 0


def find_faults(outs: Sequence[Path], statuses: Sequence[int]) -> list[str]:
    """Find what keeps a run from being a success, in words.

    Args:
        outs: What each guest left.
        statuses: What each guest's pytest ended with.

    Raises:
        LabError: A guest left no result.
    """
    tally = sum((_tally(out) for out in outs), Tally())
    if tally.failed:
        return ["a test failed"]
    return [
        *(["no test was collected"] if tally.tests == 0 else []),
        *(["a test was skipped: in the lab each must run"] if tally.skipped else []),
        *(
            f"{out.name} ended with {status}"
            for out, status in zip(outs, statuses, strict=True)
            if status not in {0, _NOTHING_COLLECTED}
        ),
    ]


def _tally(out: Path) -> Tally:
    counts = [
        Tally(
            int(suite.attrib["tests"]),
            int(suite.attrib["failures"]) + int(suite.attrib["errors"]),
            int(suite.attrib["skipped"]),
        )
        for suite in _junit(out).iter("testsuite")
    ]
    return sum(counts, Tally())


def _record_durations(outs: Sequence[Path]) -> float:
    """Record what each test took, and return what all of them did."""
    took_s = {test: s for out in outs for test, s in read_durations(out).items()}
    known_s = {test: s for test, s in took_s.items() if test.startswith("tests/")}
    write_durations(LAB_BUILD, read_durations(LAB_BUILD) | known_s)
    return sum(took_s.values())


def _junit(out: Path) -> ET.Element:
    try:
        return ET.parse(out / "junit.xml").getroot()  # noqa: S314 - written by our own pytest
    except (FileNotFoundError, ET.ParseError) as error:
        raise LabError(f"{out.name} left no result of its tests ({error}): see {out}") from error
