"""The messages of director and agent as JSON documents."""

import contextlib
import json
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lvsctl.errors import InvalidInput
from lvsctl.messages.documents import (
    assignment_document,
    read_assignment,
    read_registration,
    read_report,
    registration_document,
    report_document,
)
from lvsctl.messages.limits import report_problems
from lvsctl.messages.model import Assignment, Registration, Report

REGISTRATION: Mapping[str, Any] = {"address": "192.0.2.11", "pools": ["web"]}
ASSIGNMENT: Mapping[str, Any] = {
    "farm_id": "f1",
    "agent": "rs1",
    "vips": ["198.51.100.10"],
    "tunnels": [{"type": "ipip", "port": 0, "checksum": False}],
    "mtu": None,
    "tunnel_ends": [],
    "epoch": 1,
    "revision": 7,
}
REPORT: Mapping[str, Any] = {
    "farm_id": "f1",
    "ready": ["198.51.100.10"],
    "tunnels": [{"type": "ipip", "port": 0, "checksum": False}],
}
END: Mapping[str, Any] = {
    "tunnel": "c2d",
    "link": "c2d",
    "mode": "gre",
    "local": "192.0.2.11",
    "remote": "192.0.2.12",
    "addresses": ["192.168.2.1/24"],
    "peers": ["192.168.2.2"],
    "device": "eth0",
    "key": 7,
    "ttl": None,
    "mtu": None,
}
END_STATE: Mapping[str, Any] = {
    "tunnel": "c2d",
    "up": True,
    "since": "2026-01-02T03:04:05Z",
    "reason": "",
    "mtu": 1472,
    "round_trip_us": 250,
    "sent": 20,
    "lost": 0,
}
FINDING: Mapping[str, Any] = {
    "severity": "broken",
    "subject": "tunl0",
    "detail": "it is down",
    "cure": "ip link set tunl0 up",
    "at": "2026-01-02T03:04:05Z",
    "code": "link-down",
}


def over_the_wire(document: object) -> object:
    return json.loads(json.dumps(document))


@given(st.from_type(Registration))
def test_registration_survives_the_wire(registration: Registration) -> None:
    """What one side writes the other reads."""
    assert registration == read_registration(over_the_wire(registration_document(registration)))


@given(st.from_type(Assignment))
def test_assignment_survives_the_wire(assignment: Assignment) -> None:
    """What one side writes the other reads."""
    assert assignment == read_assignment(over_the_wire(assignment_document(assignment)))


@given(st.from_type(Report))
def test_report_survives_the_wire(report: Report) -> None:
    """What one side writes the other reads, where it is not too much."""
    assume(not [*report_problems(report)])
    assert report == read_report(over_the_wire(report_document(report)))


def test_documents_are_as_agreed() -> None:
    """The names and forms on the wire are those of the contract."""
    assert {**REGISTRATION, "weight": 100, "membership": "joined"} == over_the_wire(
        registration_document(Registration(IPv4Address("192.0.2.11"), ("web",)))
    )
    for assignment in (ASSIGNMENT, {**ASSIGNMENT, "tunnel_ends": [END]}):
        assert assignment == over_the_wire(assignment_document(read_assignment(assignment)))
    full = {**REPORT, "findings": [FINDING], "tunnel_ends": [END_STATE]}
    assert full == over_the_wire(report_document(read_report(full)))


def test_findings_of_an_older_agent_have_no_code() -> None:
    """They are read all the same."""
    older = {name: value for name, value in FINDING.items() if name != "code"}
    (finding,) = read_report({**REPORT, "findings": [older]}).findings
    assert ("it is down", "") == (finding.detail, finding.code)


def test_a_newer_sender_is_understood() -> None:
    """Fields of a later version are passed over, at every level."""
    newer = {
        **ASSIGNMENT,
        "mss": {"clamp": True},
        "vips": ["2001:db8::10"],
        "tunnels": [{"type": "gue", "port": 6080}],
    }
    assignment = read_assignment(newer)
    assert (IPv6Address("2001:db8::10"),) == assignment.vips
    assert ["gue"] == [tunnel.type for tunnel in assignment.tunnels]


@pytest.mark.parametrize(
    ("read", "document", "pointers"),
    [
        (read_registration, [], {""}),
        (read_registration, None, {""}),
        (read_registration, "x", {""}),
        (read_registration, {}, {"/address", "/pools"}),
        (read_registration, {**REGISTRATION, "address": 1}, {"/address"}),
        (read_registration, {**REGISTRATION, "address": "rs1"}, {"/address"}),
        (read_registration, {**REGISTRATION, "address": "192.0.2.11/24"}, {"/address"}),
        (read_registration, {**REGISTRATION, "pools": "web"}, {"/pools"}),
        (read_registration, {**REGISTRATION, "pools": {"web": 1}}, {"/pools"}),
        (read_registration, {**REGISTRATION, "pools": ["web", 1, None]}, {"/pools/1", "/pools/2"}),
        (read_registration, {**REGISTRATION, "weight": "100"}, {"/weight"}),
        (read_registration, {**REGISTRATION, "weight": True}, {"/weight"}),
        (read_registration, {**REGISTRATION, "weight": 1.0}, {"/weight"}),
        (read_registration, {**REGISTRATION, "weight": None}, {"/weight"}),
        (read_registration, {**REGISTRATION, "membership": "gone"}, {"/membership"}),
        (read_registration, {**REGISTRATION, "membership": 1}, {"/membership"}),
        (read_assignment, {**ASSIGNMENT, "farm_id": 7}, {"/farm_id"}),
        (read_assignment, {**ASSIGNMENT, "vips": None}, {"/vips"}),
        (read_assignment, {**ASSIGNMENT, "vips": ["x", 3]}, {"/vips/0", "/vips/1"}),
        (
            read_assignment,
            {**ASSIGNMENT, "tunnels": [{}, 5, {"type": 3}]},
            {"/tunnels/0/type", "/tunnels/1", "/tunnels/2/type"},
        ),
        (read_report, {**REPORT, "ready": [False]}, {"/ready/0"}),
        (read_report, {**REPORT, "findings": {}}, {"/findings"}),
        (
            read_report,
            {**REPORT, "findings": [FINDING, {**FINDING, "severity": "fine"}]},
            {"/findings/1/severity"},
        ),
    ],
)
def test_what_does_not_fit_is_named(
    read: Callable[[object], object], document: object, pointers: set[str]
) -> None:
    """Every wrong part is named by its pointer, and nothing is guessed."""
    with pytest.raises(InvalidInput) as caught:
        read(document)
    assert pointers == {problem.pointer for problem in caught.value.problems}
    assert all(problem.detail for problem in caught.value.problems)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from([read_registration, read_assignment, read_report]),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            [*REGISTRATION, "weight", *ASSIGNMENT, "ready", "findings"], json_values
        ),
    )
    | json_values,
)
def test_garbage_is_refused_and_never_worse(
    read: Callable[[object], object], document: object
) -> None:
    """Any JSON is either a message or InvalidInput."""
    with contextlib.suppress(InvalidInput):
        read(document)
