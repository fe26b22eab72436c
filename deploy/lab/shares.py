"""Sharing tests out to guests, by what each took last time: a pytest plugin.

Each guest collects every test and keeps its share, so that a long file is shared out too.
"""

import json
import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from deploy.lab.guest import LAB_BUILD

DURATIONS = "durations.json"
"""In a guest's /out what its tests took, in LAB_BUILD what all did, and beside this file what they
took when somebody last wrote it down, for those who have not run them yet."""

WRITTEN_DOWN = Path(__file__).parent
_LONG_S = 2.0
_UNKNOWN_S = 1.0


def shares(
    tests: Sequence[str],
    took_s: Mapping[str, float],
    guests: int,
    together: Collection[str] = (),
) -> list[list[str]]:
    """Share tests out so that all guests are busy for about as long.

    Args:
        tests: Their ids; with the same arguments, each guest comes to the same result.
        took_s: What a test took last time, or what one of its file takes; others count as a second.
        guests: How many there are.
        together: Tests that one guest runs with all others of their file among them.

    Returns:
        Each guest's share, in the given order.
    """
    pieces: defaultdict[str, list[str]] = defaultdict(list)
    for test in tests:
        pieces[_file(test) if test in together else test].append(test)
    takes_s = {
        piece: sum(took_s.get(test, took_s.get(_file(test), _UNKNOWN_S)) for test in in_it)
        for piece, in_it in pieces.items()
    }
    busy_s = [0.0] * guests
    keeper: dict[str, int] = {}
    for piece in sorted(pieces, key=lambda piece: -takes_s[piece]):
        guest = busy_s.index(min(busy_s))
        busy_s[guest] += takes_s[piece]
        keeper |= dict.fromkeys(pieces[piece], guest)
    return [[test for test in tests if keeper[test] == guest] for guest in range(guests)]


def shuffled(tests: Sequence[str], seed: int, together: Collection[str] = ()) -> list[str]:
    """Return tests in a random order, in which those that share what they need are neighbours.

    Args:
        tests: Their ids.
        seed: The same one makes the same order.
        together: Tests that follow upon each other with all others of their file among them.
    """
    random = Random(seed)  # noqa: S311 - an order, not a secret
    places: dict[str, float] = {}
    return sorted(
        tests,
        key=lambda test: (
            places.setdefault(_file(test) if test in together else test, random.random()),
            random.random(),
        ),
    )


def _file(test: str) -> str:
    return test.partition("::")[0]


def known_durations() -> dict[str, float]:
    """Return what each test took here last time, else what is written down."""
    return read_durations(WRITTEN_DOWN) | read_durations(LAB_BUILD)


def write_down() -> None:
    """Write down, for others, what each long test took here, and one of the others of each file."""
    written: dict[str, float] = {}
    others_s: defaultdict[str, list[float]] = defaultdict(list)
    for test, seconds in read_durations(LAB_BUILD).items():
        if seconds >= _LONG_S:
            written[test] = round(seconds)
        else:
            others_s[_file(test)].append(seconds)
    means_s = {file: round(sum(each) / len(each), 2) for file, each in others_s.items()}
    write_durations(WRITTEN_DOWN, written | means_s)


def read_durations(folder: Path) -> dict[str, float]:
    """Read what each test took, in seconds; nothing where nothing was recorded."""
    path = folder / DURATIONS
    return dict(json.loads(path.read_text())) if path.exists() else {}


def write_durations(folder: Path, took_s: Mapping[str, float]) -> None:
    """Record what each test took."""
    written = folder / f"{DURATIONS}.{os.getpid()}"
    written.write_text(json.dumps(took_s, indent=1, sort_keys=True))
    written.replace(folder / DURATIONS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that name this guest's share, and its order."""
    parser.addoption("--share", default="1/1", help="This guest's number, and how many there are.")
    parser.addoption("--seed", type=int, help="Of a random order; by default as they are written.")


@pytest.hookimpl(trylast=True)  # after what -k and -m leave out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep this guest's share, in the order that was asked for."""
    number, guests = map(int, config.getoption("--share").split("/"))
    found = {item.nodeid: item for item in items}
    together = {nodeid for nodeid, item in found.items() if _shares_a_network(item)}
    share = shares(list(found), known_durations(), guests, together)[number - 1]
    config.hook.pytest_deselected(items=[found[each] for each in found.keys() - set(share)])
    seed = config.getoption("--seed")
    ordered = share if seed is None else shuffled(share, seed, together)
    items[:] = [found[each] for each in ordered]


def _shares_a_network(item: pytest.Item) -> bool:
    return "shared_network" in getattr(item, "fixturenames", ())


_took_s: defaultdict[str, float] = defaultdict(float)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a test's phases took."""
    _took_s[report.nodeid] += report.duration


def pytest_sessionfinish() -> None:
    """Record it."""
    write_durations(Path(os.environ["LAB_OUT"]), _took_s)
