"""Which operations of ``ipvsadm -R`` took effect, judged by the tables before and after."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.ipvs.memory import MemoryIpvs
from lvsctl.ipvs.restore import split_verifiable, took_effect
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
    ("second", "groups"),
    [
        (AddDestination(A, RIP, ONE), 1),
        (AddService(B, RR), 1),
        (DeleteService(A), 2),
        (AddService(A, RR), 2),
    ],
)
def test_a_group_ends_before_an_operation_that_hides_an_earlier_one(
    second: Operation, groups: int
) -> None:
    """The same object twice, or a service deleted after it was edited."""
    assert groups == len(list(split_verifiable([EditService(A, RR), second])))


@pytest.mark.parametrize("first", [DeleteService(A), AddService(A, RR)])
def test_a_service_that_is_added_or_deleted_ends_its_group(first: Operation) -> None:
    """Its destinations come in the next group."""
    operations = [first, AddDestination(A, RIP, ONE)]
    assert [[operations[0]], [operations[1]]] == list(split_verifiable(operations))


def test_a_service_is_not_added_in_the_group_of_an_operation_that_missed_it() -> None:
    """Repeated, that operation would find the service that was added after it."""
    operations: list[Operation] = [AddDestination(A, RIP, ONE), AddService(A, RR)]
    assert [[operations[0]], [operations[1]]] == list(split_verifiable(operations))


@given(before=sequences, operations=sequences)
def test_an_operation_that_failed_in_a_group_fails_again(
    before: list[Operation], operations: list[Operation]
) -> None:
    """Repeated at the end of its group, an operation has the same result."""
    ipvs = MemoryIpvs()
    ipvs.apply(before)
    for group in split_verifiable(operations):
        results = [ipvs._kernel.carry_out(operation) for operation in group]
        for operation, result in zip(group, results, strict=True):
            if result != Done():
                assert ipvs._kernel.carry_out(operation) == result


@given(operations=sequences)
def test_groups_hold_every_operation_in_order(operations: list[Operation]) -> None:
    """Grouping neither drops nor reorders."""
    assert operations == [each for group in split_verifiable(operations) for each in group]


@given(before=sequences, operations=sequences)
def test_an_operation_that_took_effect_was_carried_out(
    before: list[Operation], operations: list[Operation]
) -> None:
    """No refused operation is taken for done."""
    ipvs = MemoryIpvs()
    ipvs.apply(before)
    for group in split_verifiable(operations):
        earlier = ipvs.snapshot()
        results = [ipvs._kernel.carry_out(operation) for operation in group]
        later = ipvs.snapshot()
        for operation, result in zip(group, results, strict=True):
            if took_effect(operation, earlier, later):
                assert result == Done()


@given(before=sequences, operations=sequences)
def test_an_operation_that_was_carried_out_took_effect(
    before: list[Operation], operations: list[Operation]
) -> None:
    """Only timeouts leave no trace in the table; setting them again does no harm."""
    ipvs = MemoryIpvs()
    ipvs.apply(before)
    for group in split_verifiable(operations):
        earlier = ipvs.snapshot()
        results = [ipvs._kernel.carry_out(operation) for operation in group]
        later = ipvs.snapshot()
        for operation, result in zip(group, results, strict=True):
            if result == Done() and not isinstance(operation, SetTimeouts):
                assert took_effect(operation, earlier, later)


def test_deletes_and_edits_are_judged_by_the_tables() -> None:
    """One example of each operation other than add."""
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
