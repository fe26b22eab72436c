"""What each server adds to the cost of a whole farm: lines are counted, not time."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address

import pytest

from lvsctl.director.reconcile.desired import compile_desired
from lvsctl.director.state import State, contents_of, state_of
from lvsctl.director.write.committer import Committer, EditContext
from lvsctl.director.write.edits import PutFarm
from lvsctl.farm.model import Farm, Pool, RealServer, Service
from lvsctl.farm.rules.farm import broken_rules
from lvsctl.ipvs.batching import apply_in_batches
from lvsctl.ipvs.codec.requests import encode_operation
from lvsctl.ipvs.diff import diff
from lvsctl.ipvs.table import Operation
from lvsctl.results import Done
from lvsctl.store.documents import decode_object, encode_object
from lvsctl.store.memory import MemoryStore
from tests.support.executed_lines import executed_lines

SMALL, LARGE = 100, 300
VIP, RIP = IPv4Address("198.18.0.1"), IPv4Address("10.0.0.1")


def farm(servers: int) -> Farm:
    """Return one service whose pool has that many servers."""
    pool = Pool("web", real_servers=tuple(RealServer(f"rs{n}", RIP + n) for n in range(servers)))
    return Farm({"web": Service("web", VIP, "web", ports=(80,))}, {"web": pool})


def state(servers: int) -> State:
    """Return the state of a director that has this farm."""
    commits = Committer(MemoryStore())
    commits.commit(PutFarm(farm(servers)), {}, "test", EditContext())
    return commits.state


def rules(servers: int) -> Callable[[], object]:
    """Check the farm."""
    whole = farm(servers)
    return lambda: list(broken_rules(whole, {}))


def index(servers: int) -> Callable[[], object]:
    """Make the index of a state that a store holds."""
    contents = contents_of(state(servers))
    return lambda: state_of(contents).index


def written(servers: int) -> Callable[[], object]:
    """Write each object of the farm as a document."""
    objects = [*state(servers).objects()]
    return lambda: [encode_object(name.kind, value) for name, value in objects]


def read(servers: int) -> Callable[[], object]:
    """Read each object of the farm from its document."""
    documents = [
        (name.kind, encode_object(name.kind, each)) for name, each in state(servers).objects()
    ]
    return lambda: [decode_object(kind, text) for kind, text in documents]


def compiled(servers: int) -> Callable[[], object]:
    """Compile the farm to its part of the table."""
    whole = state(servers)
    return lambda: compile_desired(whole, whole.farm.services)


def operations(servers: int) -> Sequence[Operation]:
    """Return what makes the farm's part of an empty table."""
    whole = state(servers)
    return diff(compile_desired(whole, whole.farm.services).table, {}, ()).operations


def sent(servers: int) -> Callable[[], object]:
    """Validate the operations, send them in batches and take the results."""
    wanted = operations(servers)
    return lambda: apply_in_batches(wanted, lambda batch: [Done()] * len(batch))


def encoded(servers: int) -> Callable[[], object]:
    """Encode the operations for netlink."""
    wanted = operations(servers)
    return lambda: [encode_operation(operation) for operation in wanted]


@pytest.mark.parametrize(
    ("prepare", "at_most"),
    [
        (rules, 36),
        (index, 6),
        (written, 15),
        (read, 28),
        (compiled, 54),
        (sent, 47),
        (encoded, 26),
    ],
)
def test_a_server_costs_few_lines(
    prepare: Callable[[int], Callable[[], object]], at_most: int
) -> None:
    """Of Python, for each server that the farm has more."""
    for _ in range(2):  # what the codec makes of a class it may make anew once more
        prepare(SMALL)()
    more = executed_lines(prepare(LARGE)) - executed_lines(prepare(SMALL))
    assert at_most * (LARGE - SMALL) >= more
