"""Measured values, stored as lines of JSON."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LVSCTL, KEEPALIVED, IPVSADM = "lvsctl", "keepalived", "ipvsadm"


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured value.

    Attributes:
        case: Name of the case.
        size: Name of the farm's size.
        by: The program measured.
        value: The value, in the unit of the case.
    """

    case: str
    size: str
    by: str
    value: float


class Recorder:
    """Appends samples to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, case: str, size: str, by: str, value: float) -> None:
        """Append and print a sample."""
        sample = Sample(case, size, by, value)
        print(f"{size:6} {by:10} {case:20} {value:.4f}", flush=True)
        with self._path.open("a") as lines:
            lines.write(json.dumps(asdict(sample)) + "\n")


def read(path: Path) -> list[Sample]:
    """Return the samples in a file; none if it does not exist."""
    if not path.exists():
        return []
    return [Sample(**json.loads(line)) for line in path.read_text().splitlines()]


def grouped(samples: Iterable[Sample]) -> Mapping[tuple[str, str, str], Sequence[float]]:
    """Return the values by case, size and program."""
    found: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for sample in samples:
        found[sample.case, sample.size, sample.by].append(sample.value)
    return found
