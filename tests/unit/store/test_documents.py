"""Documents: every value survives a round trip, and anything else is refused."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lvsctl.farm.objects import Kind, StoredObject
from lvsctl.host.interface import LinkKey
from lvsctl.ipvs.table import ServiceKey
from lvsctl.store.documents import (
    TYPES,
    UnreadableDocument,
    decode_host_claim,
    decode_mode,
    decode_object,
    decode_service_key,
    encode_key,
    encode_mode,
    encode_object,
)
from lvsctl.store.interface import HostClaim, Mode
from tests.unit import strategies


@given(strategies.named_objects())
def test_an_object_of_every_kind_survives_a_round_trip(named: tuple[object, StoredObject]) -> None:
    """Decoding an encoded object gives an equal one."""
    object_id, value = named
    assert value == decode_object(object_id.kind, encode_object(object_id.kind, value))


def test_every_kind_has_a_type() -> None:
    """All kinds can be stored."""
    assert set(Kind) == set(TYPES)


@given(strategies.any_service_keys)
def test_a_service_key_survives_a_round_trip(key: ServiceKey) -> None:
    """Reading what was written gives an equal key."""
    assert key == decode_service_key(encode_key(key))


@given(strategies.host_claims)
def test_a_host_claim_survives_a_round_trip(key: HostClaim) -> None:
    """Reading what was written gives an equal key."""
    assert key == decode_host_claim(encode_key(key))


@given(strategies.modes)
def test_a_mode_survives_a_round_trip(mode: Mode) -> None:
    """Reading what was written gives an equal mode."""
    assert mode == decode_mode(encode_mode(mode))


@given(strategies.any_agents)
def test_equal_objects_have_equal_documents(agent: StoredObject) -> None:
    """Sets are sorted in documents."""
    again = decode_object(Kind.AGENT, encode_object(Kind.AGENT, agent))
    assert encode_object(Kind.AGENT, agent) == encode_object(Kind.AGENT, again)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(Kind), JSON)
def test_a_field_of_a_wrong_type_is_refused_or_kept(kind: Kind, value: object) -> None:
    """Whatever a field contains is either refused with one error, or kept unchanged."""
    name = {
        Kind.SERVICE: "ports",
        Kind.POOL: "real_servers",
        Kind.TUNNEL: "ends",
        Kind.DIRECTORS: "directors",
        Kind.SETTINGS: "probe_marks",
        Kind.OVERRIDE: "since",
        Kind.AGENT: "ready",
        Kind.TOKEN: "secrets",
    }[kind]
    example_of = {
        Kind.SERVICE: {"name": "web", "vip": "198.51.100.10", "pool": "web"},
        Kind.POOL: {"name": "web"},
        Kind.TUNNEL: {"name": "c2d", "mode": "gre"},
        Kind.DIRECTORS: {},
        Kind.SETTINGS: {},
        Kind.OVERRIDE: {"state": "enabled", "weight": None, "reason": "", "by": ""},
        Kind.AGENT: {"name": "rs1", "address": "192.0.2.11", "pools": [], "weight": 1},
        Kind.TOKEN: {"name": "ci", "role": "viewer", "by": "root"},
    }[kind]
    try:
        read = decode_object(kind, json.dumps({**example_of, name: value}))
    except UnreadableDocument:
        return
    assert value == json.loads(encode_object(kind, read))[name]


SERVER = {
    "name": "rs1",
    "address": "10.0.0.1",
    "weight": 100,
    "upper_threshold": 0,
    "lower_threshold": 0,
    "tunnel": None,
}


@given(
    st.dictionaries(
        st.sampled_from(sorted(SERVER.keys() - {"tunnel"} | {"colour"})), JSON, max_size=3
    ),
    st.sets(st.sampled_from(sorted(SERVER))),
)
@example({"weight": True}, set())
@example({"weight": 1.0}, set())
@example({"colour": "red"}, {"tunnel"})
@example({"address": "10.0.0.256"}, set())
@example({"name": 5}, set())
def test_a_server_is_decoded_strictly(other: dict[str, object], missing: set[str]) -> None:
    """A wrong type, an unknown field and a missing one are refused."""
    fields = {**{name: SERVER[name] for name in SERVER.keys() - missing}, **other}
    try:
        pool = decode_object(Kind.POOL, json.dumps({"name": "web", "real_servers": [fields]}))
    except UnreadableDocument:
        return
    (written,) = json.loads(encode_object(Kind.POOL, pool))["real_servers"]
    assert json.dumps({**SERVER, **fields}, sort_keys=True) == json.dumps(written, sort_keys=True)
    assert fields.keys() >= {"name", "address"}


@given(st.sampled_from(Kind), st.text() | JSON.map(json.dumps))
@example(Kind.SERVICE, "[]")
@example(Kind.SETTINGS, '{"sysctls": {"sloppy_tcp": true}}')
@example(Kind.POOL, '{"name": "a", "tunnel": {"type": 0}}')
@example(Kind.POOL, '{"name": "a", "colour": "red"}')
@example(Kind.POOL, '{"name": "a", "health_checks": [{}]}')
@example(Kind.POOL, '{"name": "a", "health_checks": [{"request": 5}]}')
@example(Kind.POOL, '{"name": "a", "health_checks": [{"request": {"kind": "ftp"}}]}')
@example(Kind.POOL, '{"name": "a", "health_checks": [{"request": {"kind": "tcp", "path": "/"}}]}')
@example(Kind.POOL, '{"name": "a", "health_checks": [{"request": {"kind": "tcp"}, "rise": 1.0}]}')
@example(
    Kind.POOL, '{"name": "a", "health_checks": [{"request": {"kind": "tcp"}, "jitter": true}]}'
)
@example(
    Kind.POOL,
    '{"name": "a", "health_checks": [{"request": {"kind": "udp", "payload": "pi"}}]}',
)
def test_an_invalid_document_is_refused(kind: Kind, text: str) -> None:
    """Garbage raises one error only, with a reason; an empty object may mean defaults."""
    if text == "{}" and kind in (Kind.DIRECTORS, Kind.SETTINGS):
        return
    with pytest.raises(UnreadableDocument) as refusal:
        decode_object(kind, text)
    assert str(refusal.value)


def test_a_value_of_another_kind_is_not_encoded() -> None:
    """A service cannot be stored as a pool."""
    with pytest.raises(TypeError, match="is no pool"):
        encode_object(Kind.POOL, LinkKey("lvs0"))  # type: ignore[arg-type]
