"""Running pytest in guests, several at once, and judging what came of it."""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.lab.errors import LabError
from deploy.lab.guest import CHECKOUT, LAB_BUILD, OUT_IN_GUEST

SUITES = ("tests/kernel", "tests/contract")
_TEST_LIMIT_S = 120
_DURATIONS = LAB_BUILD / "durations.json"
_NOTHING_COLLECTED = 5


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
    arguments: Sequence[str], *, guests: int, memory: str, time_limit_s: float, coverage: bool
) -> int:
    """Run the suites that need the lab's kernel, split over guests.

    Args:
        arguments: For pytest. Paths among them replace the suites.
        guests: How many at once, at most.
        memory: Of each, such as 1G.
        time_limit_s: For each guest.
        coverage: Whether to measure it; the data is left beside the results.

    Returns:
        0 if at least one test ran, none failed and none was skipped, else 1.
    """
    began = time.monotonic()
    paths = [argument for argument in arguments if (CHECKOUT / argument.split("::")[0]).exists()]
    options = [argument for argument in arguments if argument not in paths]
    shares = split(test_files(paths or SUITES), guests)
    folder = LAB_BUILD / "test"
    shutil.rmtree(folder, ignore_errors=True)
    outs = [folder / f"guest{number}" for number in range(1, len(shares) + 1)]
    limits = ("--memory", memory, "--time-limit", str(time_limit_s))
    with contextlib.ExitStack() as stack:
        running = []
        for out, share in zip(outs, shares, strict=True):
            command = _pytest([*options, *share], coverage=coverage)
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
    return _judge(outs, [process.returncode for process, _ in running], time.monotonic() - began)


def test_files(paths: Sequence[str]) -> list[str]:
    """List the files of tests that pytest would find below some paths of the checkout."""
    files: list[str] = []
    for path in paths:
        below = sorted((CHECKOUT / path).rglob("test_*.py"))
        files += [str(file.relative_to(CHECKOUT)) for file in below] or [path]
    return files


def split(files: Sequence[str], shares: int) -> list[list[str]]:
    """Split files into shares of about equal length, by what they took last time.

    A file that has not been run yet counts by its tests.
    """
    took_s: dict[str, float] = json.loads(_DURATIONS.read_text()) if _DURATIONS.exists() else {}
    weights = {file: took_s.get(file.split("::")[0]) or _tests_in(file) for file in files}
    filled: list[tuple[float, list[str]]] = [(0.0, []) for _ in range(min(shares, len(files)))]
    for file in sorted(files, key=lambda file: (-weights[file], file)):
        number = min(range(len(filled)), key=lambda share: filled[share][0])
        filled[number] = (filled[number][0] + weights[file], [*filled[number][1], file])
    return [files for _, files in filled]


def _tests_in(file: str) -> int:
    return (CHECKOUT / file.split("::", maxsplit=1)[0]).read_text().count("def test_")


def _pytest(arguments: Sequence[str], *, coverage: bool) -> list[str]:
    measured = ("-m", "coverage", "run") if coverage else ()
    return [
        *("env", f"COVERAGE_FILE={OUT_IN_GUEST / '.coverage'}", "python", *measured),
        *("-m", "pytest", "-p", "deploy.lab.fixtures"),
        # What the lab's tests do not use, and what would take two seconds to import in a guest.
        *("-p", "no:cacheprovider", "-p", "no:schemathesis"),
        *("-m", "", f"--timeout={_TEST_LIMIT_S}", "--durations=10"),
        f"--color={'yes' if sys.stdout.isatty() else 'no'}",
        *(f"--junitxml={OUT_IN_GUEST / 'junit.xml'}", "-o", "junit_family=xunit1", *arguments),
    ]


def _print_lines(process: "subprocess.Popen[bytes]", name: str) -> None:
    for line in process.stdout or ():
        print(f"{name}: {line.decode(errors='replace')}", end="", flush=True)


def _judge(outs: Sequence[Path], statuses: Sequence[int], took_s: float) -> int:
    tally = sum((_tally(out) for out in outs), Tally())
    _record_durations(outs)
    print(
        f"lab: {tally.tests} tests in {len(outs)} guests, {tally.failed} failed, "
        f"{tally.skipped} skipped, {took_s:.0f} s; logs in {LAB_BUILD / 'test'}"
    )
    faults = [
        *(["no test was collected"] if tally.tests == 0 else []),
        *(["a test was skipped: in the lab each must run"] if tally.skipped else []),
        *(["a test failed"] if tally.failed else []),
        *(
            f"{out.name} ended with {status}"
            for out, status in zip(outs, statuses, strict=True)
            if status not in {0, _NOTHING_COLLECTED} and not tally.failed
        ),
    ]
    for fault in faults:
        print(f"lab: {fault}", file=sys.stderr)
    return 1 if faults else 0


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


def _record_durations(outs: Sequence[Path]) -> None:
    took_s: defaultdict[str, float] = defaultdict(float)
    if _DURATIONS.exists():
        took_s.update(json.loads(_DURATIONS.read_text()))
    for out in outs:
        cases = list(_junit(out).iter("testcase"))
        for file in {case.attrib["file"] for case in cases if "file" in case.attrib}:
            took_s[file] = sum(
                float(case.attrib["time"]) for case in cases if case.attrib.get("file") == file
            )
    _DURATIONS.write_text(json.dumps(took_s, indent=1, sort_keys=True))


def _junit(out: Path) -> ET.Element:
    try:
        return ET.parse(out / "junit.xml").getroot()  # noqa: S314 - written by our own pytest
    except (FileNotFoundError, ET.ParseError) as error:
        raise LabError(f"{out.name} left no result of its tests ({error}): see {out}") from error
