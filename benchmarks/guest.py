"""The part of ``make bench`` that runs in the lab's kernel: ``python -m benchmarks.guest``."""

import argparse
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import on_director, on_others
from benchmarks.farms import SIZES, Size
from benchmarks.samples import Recorder
from deploy.lab.modules import load_modules

WARM_UP = Size("warm-up", 20, 100)


def main() -> None:
    """Measure lvsctl, keepalived and ipvsadm in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--idle-s", type=float, default=20.0)
    parser.add_argument("--ping-s", type=float, default=0.0)
    arguments = parser.parse_args()
    size, recorder = SIZES[arguments.size], Recorder(Path("/out/samples.jsonl"))
    load_modules()
    Path("/out/facts.json").write_text(json.dumps(facts()))
    # The first director in a guest has to load its code from disk.
    on_director.measure(WARM_UP, Recorder(Path(os.devnull)), 0.1)
    for _ in range(arguments.rounds):
        on_director.measure(size, recorder, arguments.idle_s)
        on_others.measure_keepalived(size, recorder, arguments.idle_s)
        on_others.measure_ipvsadm(size, recorder)
    if arguments.ping_s:
        on_director.measure_small_requests(size, recorder, arguments.ping_s)


def facts() -> Mapping[str, str]:
    """Return the versions of kernel, keepalived and ipvsadm."""
    return {
        "in a guest pinned to one processor, Linux": os.uname().release,
        "keepalived": _version(["keepalived", "--version"]),
        "ipvsadm": _version(["ipvsadm", "--version"]),
    }


def _version(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return next(word for word in (done.stdout + done.stderr).split() if word.startswith("v"))


if __name__ == "__main__":
    main()
