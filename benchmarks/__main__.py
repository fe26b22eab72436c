"""``make bench``: lvsctl compared with keepalived and ipvsadm, in the lab's kernel and outside.

Results are written to docs/benchmarks and to the README.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import native, report
from benchmarks.farms import SIZES
from benchmarks.samples import Recorder, read

ROOT = Path(__file__).parents[1]
FACTS = "facts.json"


def main() -> None:
    """Run all benchmarks and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=[*SIZES])
    parser.add_argument(
        "--ping-s", type=float, default=30.0, help="Duration of each load; 0: skip."
    )
    parser.add_argument("--out", type=Path, help="Folder for samples; reuse it to add to them.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = arguments.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        machine = _machine()
        for size in arguments.sizes:
            _in_guest(out, size, arguments.rounds, arguments.ping_s)
        samples = out / "samples.jsonl"
        native.measure(Recorder(samples), arguments.rounds)
        facts = out / FACTS
        machine |= json.loads(facts.read_text()) if facts.exists() else {}
        text = report.write(read(samples), machine, ROOT / "docs/benchmarks")
    report.into_readme(ROOT / "README.md", text)


def _in_guest(out: Path, size: str, rounds: int, ping_s: float) -> None:
    lab = [sys.executable, "-m", "deploy.lab", "exec", "--memory", "2G", "--out", str(out)]
    limit = ["--time-limit", str(600 * rounds + 20 * ping_s)]
    guest = ["python", "-m", "benchmarks.guest", "--size", size, "--rounds", str(rounds)]
    subprocess.run([*lab, *limit, "--", *guest, "--ping-s", str(ping_s)], check=True, cwd=ROOT)


def _machine() -> dict[str, str]:
    """Return the machine, and how busy it is: others who compute make every figure larger."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "On": f"{os.cpu_count()} x {model[1] if model else platform.machine()}",
        "with a load average of": f"{os.getloadavg()[0]:.1f} before",
        "Python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
