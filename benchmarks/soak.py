"""Checks that a director's memory does not grow during an hour of hostile requests.

Run it: ``python -m benchmarks.soak [--minutes 60]``. The director is a separate process with an
IPVS table in memory; its resident memory and descriptors are printed every minute. The exit status
is 1 if it ends with 20 MB more than after the first minute.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.api.bench import EXAMPLE
from tests.support.director_process import DirectorProcess, director_process
from tests.support.hostile_rounds import play_round
from tests.support.process_usage import descriptors, memory_bytes, peak_memory_bytes

MAX_GROWTH_MB = 20
MB = 1024 * 1024


def main() -> None:
    """Send hostile requests, and print the memory used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, director_process(Path(folder)) as director:
        put = f"{director.url}/v1/farm?wait=30"
        httpx.put(put, headers=director.headers, json=EXAMPLE, timeout=60).raise_for_status()
        memory = [_minute(director) for _ in range(arguments.minutes)]
        peak = peak_memory_bytes(director.process.pid) / MB
    growth = memory[-1] - memory[0]
    print(f"{growth:+.1f} MB since the first minute, {peak:.0f} MB at the most")
    sys.exit(int(growth >= MAX_GROWTH_MB))


def _minute(director: DirectorProcess) -> float:
    """Send hostile requests for a minute; return the director's memory then, in MB."""
    end, rounds = time.monotonic() + 60, 0
    while time.monotonic() < end:
        play_round(director)
        rounds += 1
    pid = director.process.pid
    memory = memory_bytes(pid) / MB
    print(f"{rounds} rounds: {memory:.1f} MB, {descriptors(pid)} descriptors", flush=True)
    return memory


if __name__ == "__main__":
    main()
