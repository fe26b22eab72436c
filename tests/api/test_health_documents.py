"""Health checks as documents: nothing is lost on the way, and what is wrong is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from api.rendering import json_bytes
from api.schemas.base import Document
from api.schemas.health_check import HealthCheck, document_of
from api.schemas.health_policy import Quorum, SlowStart
from api.validation import validated
from lvsctl.errors import InvalidInput
from lvsctl.farm import checks as values
from lvsctl.farm import policy
from tests.api.bench import Bench
from tests.unit.strategies import ADDRESSES


class Checks(Document):
    """A document that holds checks, as a pool will."""

    health_checks: list[HealthCheck]


MILLISECONDS = st.integers(0, 3_600_000).map(lambda count: count / 1000)
ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10)
TLS = st.builds(values.TlsOptions, st.none() | ASCII, st.booleans())
STATUS = st.integers(100, 599)
REQUESTS = st.one_of(
    st.just(values.TcpRequest()),
    st.builds(
        values.HttpRequest,
        ASCII,
        ASCII,
        st.none() | ASCII,
        st.dictionaries(ASCII, ASCII, max_size=2).map(lambda fields: tuple(fields.items())),
        st.lists(st.builds(values.StatusRange, STATUS, STATUS), max_size=2).map(tuple),
        st.none() | ASCII,
        st.none() | TLS,
    ),
    st.builds(values.TlsRequest, TLS),
    st.builds(values.UdpRequest, st.binary(max_size=9), st.binary(max_size=9)),
    st.builds(
        values.DnsRequest,
        ASCII,
        st.sampled_from(values.RecordType),
        st.frozensets(ADDRESSES, max_size=2),
    ),
)
TIMING = {
    "interval_s": MILLISECONDS,
    "fast_interval_s": MILLISECONDS,
    "timeout_s": MILLISECONDS,
    "grace_s": MILLISECONDS,
    "rise": st.integers(1, 100),
    "fall": st.integers(1, 100),
    "jitter": st.floats(0, 0.5),
    "port": st.none() | st.integers(1, 65535),
}
CHECKS = st.builds(
    values.HealthCheck, request=REQUESTS, through=st.sampled_from(values.Through), **TIMING
) | st.builds(
    values.HealthCheck,
    request=st.builds(values.ExecRequest, ASCII, st.lists(ASCII, max_size=2).map(tuple)),
    through=st.just(values.Through.DIRECT),
    **TIMING,
)


@given(CHECKS)
def test_a_check_survives_its_document(check: values.HealthCheck) -> None:
    """Value to document to text, and back."""
    document = Checks.model_construct(health_checks=[document_of(check)])
    again = validated(Checks, json.loads(json_bytes(document.plain())))
    assert [check] == [read.value() for read in again.health_checks]


@given(st.builds(policy.SlowStart, st.integers(1, 3600), st.integers(2, 100)))
def test_a_slow_start_survives_its_document(value: policy.SlowStart) -> None:
    """Value to document, and back."""
    assert value == validated(SlowStart, SlowStart.of(value).plain()).value()


@given(st.builds(policy.Quorum, st.integers(1, 100), st.integers(0, 9), st.booleans()))
def test_a_quorum_survives_its_document(value: policy.Quorum) -> None:
    """Value to document, and back."""
    assert value == validated(Quorum, Quorum.of(value).plain()).value()


def test_what_is_left_out_is_as_documented() -> None:
    """The defaults of the documents are those of the values."""
    kinds: dict[str, tuple[dict[str, str], values.Request]] = {
        "tcp": ({}, values.TcpRequest()),
        "http": ({}, values.HttpRequest()),
        "https": ({}, values.HttpRequest(tls=values.TlsOptions())),
        "tls": ({}, values.TlsRequest()),
        "udp": ({}, values.UdpRequest()),
        "dns": ({"name": "example.com"}, values.DnsRequest("example.com")),
    }
    for kind, (fields, request) in kinds.items():
        (read,) = validated(Checks, {"health_checks": [{"type": kind, **fields}]}).health_checks
        assert values.HealthCheck(request) == read.value()
    (read,) = validated(Checks, {"health_checks": [{"type": "exec", "program": "a"}]}).health_checks
    direct = values.Through.DIRECT
    assert values.HealthCheck(values.ExecRequest("a"), through=direct) == read.value()


@pytest.mark.parametrize(
    ("document", "pointer", "allowed"),
    [
        ({}, "/type", "tcp, http, https, tls, udp, dns, exec"),
        ({"type": "ftp"}, "/type", "tcp, http, https, tls, udp, dns, exec"),
        ({"type": 5}, "/type", "tcp, http, https, tls, udp, dns, exec"),
        ({"type": ["tcp"]}, "/type", "tcp, http, https, tls, udp, dns, exec"),
        ({"type": None}, "/type", "tcp, http, https, tls, udp, dns, exec"),
        (5, "", "an object"),
        (None, "", "an object"),
        ({"type": "tcp", "path": "/"}, "/path", "port, through, interval"),
        ({"type": "http", "tls": {}}, "/tls", "path, host, headers"),
        ({"type": "https", "tls": {"ca": "x"}}, "/tls/ca", "server_name, verify"),
        ({"type": "https", "tls": {"verify": 1}}, "/tls/verify", "true or false"),
        ({"type": "tcp", "through": "nat"}, "/through", "'tunnel' or 'direct'"),
        ({"type": "exec", "program": "a", "through": "tunnel"}, "/through", "'direct'"),
        ({"type": "exec"}, "/program", "--exec-dir"),
        ({"type": "dns"}, "/name", "www.example.com"),
        ({"type": "dns", "name": "a", "record": "ANY"}, "/record", "'AAAA'"),
        ({"type": "dns", "name": "a", "addresses": ["x"]}, "/addresses/0", "192.0.2.11"),
        ({"type": "tcp", "interval": "2"}, "/interval", "500ms, 2s"),
        ({"type": "tcp", "interval": 2}, "/interval", "500ms, 2s"),
        ({"type": "tcp", "rise": "2"}, "/rise", "a whole number"),
        ({"type": "tcp", "jitter": "0.1"}, "/jitter", "a number"),
        ({"type": "tcp", "jitter": True}, "/jitter", "a number"),
        ({"type": "http", "statuses": ["2xx"]}, "/statuses/0", "200-299"),
        ({"type": "http", "statuses": [200]}, "/statuses/0", "200-299"),
        ({"type": "http", "statuses": "200"}, "/statuses", "a list"),
        ({"type": "http", "statuses": ["٢٠٠"]}, "/statuses/0", "200-299"),
        ({"type": "http", "headers": {"X-A": 1}}, "/headers/X-A", "a string"),
        ({"type": "udp", "payload": "abc"}, "/payload", "hexadecimal"),
        ({"type": "udp", "answer": "a b "}, "/answer", "hexadecimal"),
    ],
)
def test_what_is_wrong_with_a_check_is_named(
    document: Any,  # noqa: ANN401 - any JSON
    pointer: str,
    allowed: str,
) -> None:
    """At its field, whatever its type is, with what is allowed there."""
    with pytest.raises(InvalidInput) as refused:
        validated(Checks, {"health_checks": [{"type": "tcp"}, document]})
    (problem,) = refused.value.problems
    assert f"/health_checks/1{pointer}" == problem.pointer
    assert allowed in problem.allowed


def test_the_schema_tells_checks_apart_by_their_type() -> None:
    """And describes every field, and its default as it is written."""
    schema = TypeAdapter(HealthCheck).json_schema()
    assert "type" == schema["discriminator"]["propertyName"]
    kinds = ["dns", "exec", "http", "https", "tcp", "tls", "udp"]
    assert kinds == sorted(schema["discriminator"]["mapping"])
    for name, document in schema["$defs"].items():
        assert document["description"], name
        for field, described in document["properties"].items():
            assert "description" in described or field in ("type", "tls"), (name, field)
    assert "2s" == schema["$defs"]["TcpCheck"]["properties"]["interval"]["default"]
    assert ["200-299"] == schema["$defs"]["HttpCheck"]["properties"]["statuses"]["default"]


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/v1/pools/web", "on_down", "quiesce"),
        ("/v1/pools/web", "slow_start", {"over": "30s", "steps": 5}),
        ("/v1/pools/web", "quorum", {"servers": 1, "hysteresis": 1, "withdraw": False}),
        ("/v1/pools/web", "panic_below", 30),
        ("/v1/services/web", "sorry_server", "192.0.2.99"),
    ],
)
def test_what_follows_from_health_is_kept(
    bench: Bench,
    path: str,
    field: str,
    value: Any,  # noqa: ANN401 - any JSON
) -> None:
    """As it was written, until null takes it away."""
    assert 200 == bench.patch(path, json={field: value}).status_code
    assert value == bench.get(path).json()[field]
    assert 200 == bench.patch(path, json={field: None}).status_code
    assert field not in bench.get(path).json()
