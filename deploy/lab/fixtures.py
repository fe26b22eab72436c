"""What pytest offers a test in the lab: `python -m deploy.lab test` loads this plugin."""

import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from deploy.lab.fingerprint import Fingerprint, Shared
from deploy.lab.modules import load_modules
from deploy.lab.namespaces import NAMED
from deploy.lab.network import Network, Topology
from deploy.lab.node import Node

_LOG_LINES = 40


class BuildNetwork(Protocol):
    """What the fixture `network` gives."""

    def __call__(self, topology: Topology) -> Network:
        """Build a network that is removed after the test."""


@pytest.fixture(scope="session", autouse=True)
def _kernel_modules() -> None:
    load_modules()


@pytest.fixture
def logs(request: pytest.FixtureRequest) -> Path:
    """Return the folder for the logs of this test's processes, kept in /out."""
    return _logs_of(request.node)


@pytest.fixture
def network(logs: Path) -> Iterator[BuildNetwork]:
    """Build networks: `network(farm_topology(real_servers=2))`."""
    networks: list[Network] = []

    def build(topology: Topology) -> Network:
        networks.append(Network(topology, logs))
        return networks[-1]

    yield build
    for built in reversed(networks):
        built.remove()


@pytest.fixture
def node(logs: Path) -> Iterator[Callable[[str], Node]]:
    """Make nodes without links: `node("lb1")`."""
    nodes: list[Node] = []

    def make(name: str) -> Node:
        nodes.append(Node(name, logs))
        return nodes[-1]

    yield make
    for made in reversed(nodes):
        made.remove()


class ShareNetwork(Protocol):
    """What the fixture `share` gives."""

    def __call__(self, network: Network, more: Callable[[], Fingerprint] = dict) -> None:
        """Have every test fail that leaves the network otherwise than it found it.

        Args:
            network: It stands as it is to stay.
            more: Returns what else is to stay, such as the revision of a farm.
        """


_SHARED = pytest.StashKey[list[Shared]]()


@pytest.fixture(scope="module")
def shared_network(request: pytest.FixtureRequest) -> Iterator[BuildNetwork]:
    """Build networks for all tests of a module; others can be built beside them."""
    networks: list[Network] = []

    def build(topology: Topology) -> Network:
        networks.append(Network(topology, _logs_of(request.node), prefix="shared-"))
        return networks[-1]

    yield build
    for built in reversed(networks):
        built.remove()


@pytest.fixture(scope="module")
def share(request: pytest.FixtureRequest) -> Iterator[ShareNetwork]:
    """Compare what a module's tests share after each of them: `share(network)`."""
    shared = request.node.stash[_SHARED] = []
    yield lambda network, more=dict: shared.append(Shared(network, more))
    shared.clear()


@pytest.fixture(autouse=True)
def _nothing_shared_changed(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    module = request.node.getparent(pytest.Module)
    changes: Mapping[str, tuple[str, str]] = {}
    for each in module.stash.get(_SHARED, []) if module else ():
        changes = {**changes, **each.changes()}
    # A test that changes, kills or counts has a network of its own: the fixture `network`.
    assert changes == {}, f"{request.node.nodeid} changed what others share"  # noqa: S101


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_by_the_session(_kernel_modules: None) -> Iterator[None]:
    before = _what_is_here()
    yield
    assert _what_is_here() - before == set()  # noqa: S101 - this is a test's assertion


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    before = _what_is_here()
    yield
    assert _what_is_here() - before == set()  # noqa: S101 - this is a test's assertion


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of each process's log with a failure."""
    report = yield
    if report.failed:
        module = item.getparent(pytest.Module)
        for whose in (module, item) if module else (item,):
            for log in sorted(_logs_of(whose).glob("*.log")):
                lines = log.read_text(errors="replace").splitlines()
                report.sections.append((f"end of {log.name}", "\n".join(lines[-_LOG_LINES:])))
    return report


def pytest_configure() -> None:
    """Refuse to work outside the lab, where a test could do harm."""
    if not os.environ.get("LAB"):
        raise pytest.UsageError(
            "these tests change the kernel's network: python -m deploy.lab test"
        )


def _logs_of(test: pytest.Item | pytest.Collector) -> Path:
    folder = re.sub(r"[^\w.=-]+", "_", test.nodeid.removeprefix("tests/"))
    return Path(os.environ["LAB_OUT"]) / "logs" / folder


def _what_is_here() -> set[str]:
    """List the named namespaces, the processes, and the namespace of this thread."""
    here = {f"this thread in {Path('/proc/thread-self/ns/net').readlink()}"}
    if NAMED.exists():
        here |= {f"namespace {path.name}" for path in NAMED.iterdir()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The kernel's threads have none, nor have zombies; bpfilter_umh is the kernel's own
        # program, started by the first use of iptables.
        if command and command != "bpfilter_umh":
            here.add(f"process {process.name}: {command}")
    return here
