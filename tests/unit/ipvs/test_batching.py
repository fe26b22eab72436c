"""Batching of operations: destinations wait until their service's add was confirmed."""

import errno
from collections.abc import Sequence
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.ipvs.batching import apply_in_batches, batches
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
    VirtualServiceConfig,
    service_of,
)
from lvsctl.net import IpProtocol
from lvsctl.results import Done, Failed, Result, Skipped, Unknown
from tests.unit.ipvs import strategies

A, B = (AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), port) for port in (80, 443))
CONFIG = VirtualServiceConfig("rr")
EXISTS = Failed(errno.EEXIST)
few_services = st.sampled_from([A, B])
few_rips = st.sampled_from([IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")])
sequences = st.lists(strategies.operations(few_services, few_rips), max_size=12)


def destination(service: AddressKey, host: int) -> AddDestination:
    key = DestinationKey(IPv4Address(f"192.0.2.{host}"), service.port)
    return AddDestination(service, key, DestinationConfig(1))


class Recorder:
    """Refuses the given operations, accepts others, and records what was sent."""

    def __init__(self, *refused: Operation, result: Result = EXISTS) -> None:
        self.refused = refused
        self.result = result
        self.sent: list[list[Operation]] = []

    def __call__(self, operations: Sequence[Operation]) -> Sequence[Result]:
        self.sent.append(list(operations))
        return [self.result if each in self.refused else Done() for each in operations]


def test_a_plan_of_many_new_services_takes_two_batches() -> None:
    """All services are added first, then all destinations, then everything after them."""
    operations: list[Operation] = [
        *(AddService(A, CONFIG), destination(A, 1)),
        *(AddService(B, CONFIG), destination(B, 1), DeleteService(A)),
    ]
    assert [[0, 2], [1, 3, 4]] == batches(operations)


def test_a_deleted_service_is_not_deleted_before_its_successor_has_destinations() -> None:
    """Adding services early does not change the order of anything else."""
    operations: list[Operation] = [AddService(A, CONFIG), destination(A, 1), DeleteService(B)]
    assert [[0], [1, 2]] == batches(operations)


def test_a_service_is_not_added_before_the_deletion_that_precedes_it() -> None:
    """Delete and add of the same key may share a batch, in this order."""
    operations: list[Operation] = [DeleteService(A), AddService(A, CONFIG), destination(A, 1)]
    assert [[0, 1], [2]] == batches(operations)


def test_without_new_services_one_batch_is_enough() -> None:
    """Ten thousand changes of weights are one batch."""
    operations: list[Operation] = [destination(A, 1), EditService(B, CONFIG), destination(B, 2)]
    assert [[0, 1, 2]] == batches(operations)


@given(operations=sequences)
def test_every_operation_is_in_exactly_one_batch(operations: list[Operation]) -> None:
    """None is lost, none is sent twice."""
    indexes = sorted(index for each in batches(operations) for index in each)
    assert list(range(len(operations))) == indexes


@given(operations=sequences)
def test_operations_of_one_service_keep_their_order(operations: list[Operation]) -> None:
    """Only operations on different services are reordered."""
    sent = [index for each in batches(operations) for index in each]
    for service in (A, B):
        of_service = [index for index in sent if service_of(operations[index]) == service]
        assert sorted(of_service) == of_service


@given(operations=sequences)
def test_everything_but_adding_services_keeps_its_order(operations: list[Operation]) -> None:
    """The order of a plan matters: additions come before deletions."""
    sent = [index for each in batches(operations) for index in each]
    others = [index for index in sent if not isinstance(operations[index], AddService)]
    assert sorted(others) == others


@given(operations=sequences)
def test_a_destination_never_shares_a_batch_with_an_earlier_add(
    operations: list[Operation],
) -> None:
    """Operations that follow the add of their service are sent when its result is known."""
    for each in batches(operations):
        added = set()
        for index in each:
            operation = operations[index]
            if isinstance(operation, AddService):
                added.add(operation.key)
            else:
                assert service_of(operation) not in added


def test_destinations_of_a_refused_service_are_never_sent() -> None:
    """The existing service may be foreign; the result names the operation that was refused."""
    add = AddService(A, CONFIG)
    kernel = Recorder(add)
    operations: list[Operation] = [
        *(add, destination(A, 1)),
        EditDestination(A, destination(A, 1).key, DestinationConfig(2)),
        DeleteDestination(A, destination(A, 1).key),
        *(AddService(B, CONFIG), destination(B, 1)),
    ]
    skipped = Skipped("add service tcp 198.51.100.10:80 rr: File exists [EEXIST]")
    assert apply_in_batches(operations, kernel) == [EXISTS, *[skipped] * 3, Done(), Done()]
    assert kernel.sent == [[add, AddService(B, CONFIG)], [destination(B, 1)]]


def test_destinations_of_a_service_whose_add_is_unknown_are_never_sent() -> None:
    """An unknown result counts as refused."""
    add = AddService(A, CONFIG)
    kernel = Recorder(add, result=Unknown("lost"))
    assert [Unknown, Skipped] == [
        type(result) for result in apply_in_batches([add, destination(A, 1)], kernel)
    ]


def test_a_later_successful_add_lets_destinations_through() -> None:
    """The last add before a destination counts."""
    first, second = AddService(A, CONFIG), AddService(A, VirtualServiceConfig("wlc"))
    operations: list[Operation] = [
        first,
        destination(A, 1),
        DeleteService(A),
        second,
        destination(A, 2),
    ]
    results = apply_in_batches(operations, Recorder(first))
    assert results[0] == EXISTS
    assert isinstance(results[1], Skipped)
    assert results[2:] == [Done(), Done(), Done()]


def test_an_invalid_operation_does_not_stop_the_others() -> None:
    """A weight out of range is refused; everything else is sent."""
    wrong = AddDestination(A, destination(A, 1).key, DestinationConfig(70000))
    kernel = Recorder()
    results = apply_in_batches([wrong, destination(A, 2)], kernel)
    assert results == [Failed(errno.ERANGE, "weight 70000 (allowed: 0 to 65535)"), Done()]
    assert kernel.sent == [[destination(A, 2)]]


def test_an_empty_plan_sends_nothing() -> None:
    """The kernel is not called at all."""
    kernel = Recorder()
    assert apply_in_batches([], kernel) == []
    assert kernel.sent == []
