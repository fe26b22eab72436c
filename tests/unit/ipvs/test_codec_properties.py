"""Properties of the codec: it decodes what it encodes, and survives arbitrary bytes."""

import contextlib
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.errors import MalformedMessage
from lvsctl.ipvs.codec.destination import parse_destination, parse_destination_counters
from lvsctl.ipvs.codec.requests import encode_operation
from lvsctl.ipvs.codec.service import parse_service, parse_service_traffic
from lvsctl.ipvs.codec.timeouts import parse_timeouts
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
    ForwardingMethod,
    Operation,
    Persistence,
    SetTimeouts,
    VirtualServiceConfig,
)
from lvsctl.ipvs.validation import validate
from lvsctl.net import IpProtocol
from lvsctl.netlink.messages import (
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLMSG_DONE,
    NLMSG_ERROR,
    Ack,
    Message,
    frame,
    parse_ack,
    parse_family,
    parse_messages,
)
from tests.unit.ipvs import strategies

PARSERS: list[Callable[[bytes], object]] = [
    parse_service,
    parse_service_traffic,
    parse_destination,
    parse_destination_counters,
    parse_timeouts,
    parse_family,
    lambda data: list(parse_messages(data)),
    lambda data: parse_ack(Message(NLMSG_ERROR, 0, 1, data)),
    lambda data: parse_ack(Message(NLMSG_ERROR, NLM_F_ACK_TLVS, 1, data)),
    lambda data: parse_ack(Message(NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, 1, data)),
    lambda data: parse_ack(Message(NLMSG_DONE, NLM_F_ACK_TLVS, 1, data)),
]


@given(operation=strategies.operations())
def test_encoded_operations_are_decoded(operation: Operation) -> None:
    """The kernel's answers have the same attributes as requests, so one decoder reads both."""
    payload = encode_operation(operation)
    match operation:
        case AddService(key, config) | EditService(key, config):
            assert parse_service(payload) == (key, config)
        case AddDestination(_, destination, config) | EditDestination(_, destination, config):
            assert parse_destination(payload) == (destination, config)
        case SetTimeouts(timeouts):
            assert parse_timeouts(payload) == timeouts
        case DeleteService() | DeleteDestination():
            with pytest.raises(MalformedMessage):
                parse_destination(payload)


@given(operation=strategies.operations())
def test_valid_operations_are_not_refused(operation: Operation) -> None:
    """Validation passes everything that all backends can carry out."""
    assert validate(operation) is None


@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_malformed_message(data: bytes) -> None:
    """No parser raises anything but MalformedMessage."""
    for parse in PARSERS:
        with contextlib.suppress(MalformedMessage):
            parse(data)


@given(operation=strategies.operations(), data=st.data())
def test_damaged_messages_raise_only_malformed_message(
    operation: Operation, data: st.DataObject
) -> None:
    """Nearly valid bytes get further into the parsers than random ones."""
    payload = bytearray(encode_operation(operation))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(payload[: data.draw(st.integers(0, len(payload)))])
    for parse in PARSERS:
        with contextlib.suppress(MalformedMessage):
            parse(damaged)


@given(
    messages=st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)),
        max_size=5,
    ),
    payload=st.binary(max_size=9),
)
def test_framed_messages_are_parsed(messages: list[tuple[int, int, int]], payload: bytes) -> None:
    """Several messages of any length in one datagram."""
    datagram = b"".join(frame(*message, payload) for message in messages)
    assert [Message(*message, payload) for message in messages] == list(parse_messages(datagram))


def test_the_message_of_an_error_with_the_whole_request_is_found() -> None:
    """Without CAP_ACK, the whole request is between errno and message."""
    request = frame(28, 1, 9, b"12345")
    words = bytes.fromhex("0c000100") + b"too bad\0"
    error = Message(NLMSG_ERROR, NLM_F_ACK_TLVS, 9, b"\xea\xff\xff\xff" + request + words)
    assert parse_ack(error) == Ack(22, "too bad")


def test_the_message_of_an_error_with_the_request_header_is_found() -> None:
    """With CAP_ACK, only the request's header is between errno and message."""
    header = frame(28, 1, 9, b"12345")[:16]
    words = bytes.fromhex("0c000100") + b"too bad\0"
    flags = NLM_F_ACK_TLVS | NLM_F_CAPPED
    error = Message(NLMSG_ERROR, flags, 9, b"\xea\xff\xff\xff" + header + words)
    assert parse_ack(error) == Ack(22, "too bad")


SERVICE = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80)
DESTINATION = DestinationKey(IPv4Address("192.0.2.11"), 80)


def test_a_service_of_a_protocol_that_ipvs_does_not_balance_is_left_out() -> None:
    """The kernel accepts a service of protocol 47, which must not make the dump unreadable."""
    payload = encode_operation(AddService(SERVICE, VirtualServiceConfig("rr")))
    protocol = bytes.fromhex("06000200") + b"\x06"
    assert parse_service(payload.replace(protocol, protocol[:-1] + b"\x2f")) is None


def test_a_netmask_that_is_not_contiguous_equals_no_desired_one() -> None:
    """Ipvsadm accepts -M 255.0.255.0; it is decoded as -1, so that a diff corrects it."""
    config = VirtualServiceConfig("rr", persistence=Persistence(300, 16))
    payload = encode_operation(AddService(SERVICE, config))
    parsed = parse_service(payload.replace(b"\xff\xff\0\0", b"\xff\0\xff\0"))
    assert parsed == (SERVICE, VirtualServiceConfig("rr", persistence=Persistence(300, -1)))


def test_an_unknown_forwarding_method_equals_no_desired_one() -> None:
    """The kernel accepts the undefined methods 5 to 7."""
    payload = encode_operation(AddDestination(SERVICE, DESTINATION, DestinationConfig(1)))
    method = bytes.fromhex("08000300") + b"\x02"
    parsed = parse_destination(payload.replace(method, method[:-1] + b"\x05"))
    assert parsed == (DESTINATION, DestinationConfig(1, ForwardingMethod.BYPASS, None))


def test_an_unknown_tunnel_type_equals_no_desired_one() -> None:
    """The kernel accepts any type; an unknown one is decoded as a tunnel without encapsulation."""
    payload = encode_operation(AddDestination(SERVICE, DESTINATION, DestinationConfig(1)))
    kind = bytes.fromhex("05000d00")
    parsed = parse_destination(payload.replace(kind + b"\x00", kind + b"\x03"))
    assert parsed == (DESTINATION, DestinationConfig(1, ForwardingMethod.TUNNEL, None))
