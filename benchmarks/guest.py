"""The part of ``make bench`` that runs in the lab's kernel: ``python -m benchmarks.guest``."""

import argparse
from pathlib import Path

from benchmarks import on_director, on_others
from benchmarks.farms import SIZES
from benchmarks.samples import Recorder
from deploy.lab.modules import load_modules


def main() -> None:
    """Measure lvsctl, keepalived and ipvsadm in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--idle-s", type=float, default=20.0)
    parser.add_argument("--ping-s", type=float, default=0.0)
    arguments = parser.parse_args()
    size, recorder = SIZES[arguments.size], Recorder(Path("/out/samples.jsonl"))
    load_modules()
    for _ in range(arguments.rounds):
        on_director.measure(size, recorder, arguments.idle_s)
        on_others.measure_keepalived(size, recorder, arguments.idle_s)
        on_others.measure_ipvsadm(size, recorder)
    if arguments.ping_s:
        on_director.measure_small_requests(size, recorder, arguments.ping_s)


if __name__ == "__main__":
    main()
