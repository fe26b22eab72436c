"""Which operations of a batch took effect, seen from the table before and after."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.ipvs.memory import MemoryIpvs
from lvsctl.ipvs.restore import took_effect, traceable_runs
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    EditService,
    Operation,
    SetTimeouts,
    Timeouts,
    VirtualServiceConfig,
)
from lvsctl.net import IpProtocol
from lvsctl.results import Done
from tests.unit.ipvs import strategies

A, B = (AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), port) for port in (80, 443))
RIP = DestinationKey(IPv4Address("192.0.2.11"), 80)
RR, ONE = VirtualServiceConfig("rr"), DestinationConfig(1)
sequences = st.lists(
    strategies.operations(
        st.sampled_from([A, B]),
        st.sampled_from([IPv4Address("192.0.2.11"), IPv4Address("224.0.0.1")]),
    ),
    max_size=8,
)


@pytest.mark.parametrize(
    ("second", "runs"),
    [
        (AddDestination(A, RIP, ONE), 1),
        (AddService(B, RR), 1),
        (DeleteService(A), 2),
        (AddService(A, RR), 2),
    ],
)
def test_a_run_ends_where_it_would_cover_its_traces(second: Operation, runs: int) -> None:
    """The same thing twice, or a service deleted after it was touched."""
    assert runs == len(list(traceable_runs([EditService(A, RR), second])))


@pytest.mark.parametrize("first", [DeleteService(A), AddService(A, RR)])
def test_nothing_follows_in_a_run_when_its_service_came_or_went(first: Operation) -> None:
    """A destination that is sent after it belongs to another run."""
    operations = [first, AddDestination(A, RIP, ONE)]
    assert [[operations[0]], [operations[1]]] == list(traceable_runs(operations))


def test_a_service_is_not_added_in_the_run_of_an_operation_that_missed_it() -> None:
    """Tried again, the operation would find the service that was added after it."""
    operations: list[Operation] = [AddDestination(A, RIP, ONE), AddService(A, RR)]
    assert [[operations[0]], [operations[1]]] == list(traceable_runs(operations))


@given(before=sequences, operations=sequences)
def test_what_a_run_left_undone_fails_again(
    before: list[Operation], operations: list[Operation]
) -> None:
    """Tried again at the end of its run, an operation has the result that it had within."""
    ipvs = MemoryIpvs()
    ipvs.apply(before)
    for run in traceable_runs(operations):
        results = [ipvs._kernel.carry_out(operation) for operation in run]
        for operation, result in zip(run, results, strict=True):
            if result != Done():
                assert ipvs._kernel.carry_out(operation) == result


@given(operations=sequences)
def test_runs_hold_every_operation_in_order(operations: list[Operation]) -> None:
    """Runs are cuts of the sequence, nothing else."""
    assert operations == [each for run in traceable_runs(operations) for each in run]


@given(before=sequences, operations=sequences)
def test_what_the_tables_show_was_done(
    before: list[Operation], operations: list[Operation]
) -> None:
    """Nothing that was refused is taken for done, but an edit to what stood already."""
    ipvs = MemoryIpvs()
    ipvs.apply(before)
    for run in traceable_runs(operations):
        earlier = ipvs.snapshot()
        results = [ipvs._kernel.carry_out(operation) for operation in run]
        later = ipvs.snapshot()
        for operation, result in zip(run, results, strict=True):
            if took_effect(operation, earlier, later):
                assert result == Done()


@given(before=sequences, operations=sequences)
def test_what_was_done_is_shown(before: list[Operation], operations: list[Operation]) -> None:
    """Only the timeouts leave no trace in the table; to set them again does no harm."""
    ipvs = MemoryIpvs()
    ipvs.apply(before)
    for run in traceable_runs(operations):
        earlier = ipvs.snapshot()
        results = [ipvs._kernel.carry_out(operation) for operation in run]
        later = ipvs.snapshot()
        for operation, result in zip(run, results, strict=True):
            if result == Done() and not isinstance(operation, SetTimeouts):
                assert took_effect(operation, earlier, later)


def test_deleting_and_editing_are_judged_by_what_is_there() -> None:
    """One example of each kind that is not adding."""
    ipvs = MemoryIpvs()
    ipvs.apply([AddService(A, RR), AddService(B, RR), AddDestination(A, RIP, ONE)])
    before = ipvs.snapshot()
    heavier = replace(ONE, weight=9)
    operations: list[Operation] = [
        EditDestination(A, RIP, heavier),
        DeleteService(B),
        EditService(A, VirtualServiceConfig("wlc")),
    ]
    assert [False] * 3 == [took_effect(operation, before, before) for operation in operations]
    ipvs.apply(operations)
    after = ipvs.snapshot()
    assert [True] * 3 == [took_effect(operation, before, after) for operation in operations]
    assert not took_effect(DeleteDestination(A, RIP), before, after)
    assert not took_effect(SetTimeouts(Timeouts(1, 1, 1)), before, after)
