"""What is no proper JSON document is refused before anybody looks at what it means."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from api.bodies import MAX_BODY_BYTES, MAX_FARM_BYTES, MAX_VALUES, SMALL_BODY_BYTES
from api.json_text import MAX_DEPTH, MAX_KEYS
from tests.api.bench import EXAMPLE, Bench, Request, Sent, json_of

JSON = {"Content-Type": "application/json"}
GOOD = json_of(EXAMPLE)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "line 1, column 1"),
        (b"{", "line 1, column 2"),
        (b'{"services": [],\n "pools": [}', "line 2, column 12"),
        (b"services: []", "line 1, column 1"),
        (b'{"services": [], "pools": []} {}', "line 1, column 31"),
        (b'{"services": NaN}', "NaN"),
        (b'{"services": -Infinity}', "-Infinity"),
        (b'{"services": "\xff"}', "byte 14 is not UTF-8"),
        ('{"services": []}'.encode("utf-16"), "byte 0 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"services": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udfff": 1}', "half of a surrogate pair"),
        (b"[" * 100_000, "nested"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "nested"),
        (b'{"weight": %s}' % (b"9" * 5000), "digits"),
        (b"\x1f\x8b\x08\x00", "byte 1 is not UTF-8"),
    ],
)
def test_what_is_no_json_is_refused(bench: Bench, body: bytes, detail: str) -> None:
    """With the place where it goes wrong; nothing is changed."""
    before = bench.revision
    answer = bench.put("/v1/farm", content=body, headers=JSON)
    assert 400 == answer.status_code
    assert detail in answer.json()["errors"][0]["detail"]
    assert before == bench.revision


def test_a_key_that_stands_twice_is_refused_where_it_stands(bench: Bench) -> None:
    """Which of the two was meant cannot be known."""
    body = b'{"services": [{"name": "a", "pool": "x", "name": "b"}], "pools": [], "pools": []}'
    answer = bench.put("/v1/farm", content=body, headers=JSON)
    assert 400 == answer.status_code
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert ["/pools", "/services/0/name"] == sorted(pointers)


def test_text_in_any_script_is_taken(bench: Bench) -> None:
    """Escaped or not, where the field is free text."""
    address = "/v1/pools/web/real-servers/rs1/override"
    for body in ('{"reason": "Wartung für 🚧"}'.encode(), b'{"reason": "\\ud83d\\udea7"}'):
        assert bench.put(address, content=body, headers=JSON).is_success
    assert "🚧" == bench.get(address).json()["reason"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/yaml"},
        {"Content-Type": "application/merge-patch+json"},
        {"Content-Type": "json"},
        JSON | {"Content-Encoding": "gzip"},
    ],
)
def test_another_content_type_is_refused(bench: Bench, headers: dict[str, str]) -> None:
    """With the one that is taken."""
    before = bench.revision
    answer = bench.put("/v1/farm", content=GOOD, headers=headers)
    assert 415 == answer.status_code
    assert answer.json()["errors"][0]["allowed"] in ("application/json", "none")
    assert before == bench.revision


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_taken_however_it_is_written(bench: Bench, content_type: str) -> None:
    """Case and parameters of a content type do not matter."""
    answer = bench.put("/v1/farm", content=GOOD, headers={"Content-Type": content_type})
    assert 200 == answer.status_code


@pytest.mark.parametrize("content_type", ["application/json", "application/merge-patch+json"])
def test_a_patch_is_taken_under_both_names(bench: Bench, content_type: str) -> None:
    """The one of RFC 7396, and the one that people send."""
    headers = {"Content-Type": content_type}
    answer = bench.patch("/v1/services/web", content=b'{"scheduler": "rr"}', headers=headers)
    assert 200 == answer.status_code


POOL = b'{"real_servers": []}'
SIZES = [("/v1/pools/new", POOL, MAX_BODY_BYTES), ("/v1/farm", GOOD, MAX_FARM_BYTES)]


@pytest.mark.parametrize(("address", "good", "most"), SIZES)
def test_a_body_of_more_megabytes_is_refused(
    bench: Bench, address: str, good: bytes, most: int
) -> None:
    """With the size that is taken."""
    answer = bench.put(address, content=good + b" " * most, headers=JSON)
    assert 413 == answer.status_code
    assert str(most) in answer.json()["errors"][0]["allowed"]


@pytest.mark.parametrize(("address", "good", "most"), SIZES)
def test_a_body_is_counted_as_it_comes(bench: Bench, address: str, good: bytes, most: int) -> None:
    """Nothing announces the length of a body that is sent in chunks."""

    async def chunks() -> AsyncIterator[bytes]:
        yield good
        for _ in range(most // 65536):
            yield b" " * 65536

    assert 413 == bench.put(address, content=chunks(), headers=JSON).status_code


@pytest.mark.parametrize(("address", "good", "most"), SIZES)
def test_a_body_of_just_the_size_is_read(
    bench: Bench, address: str, good: bytes, most: int
) -> None:
    """What it holds is another question."""
    answer = bench.put(address, content=good + b" " * (most - len(good)), headers=JSON)
    assert answer.is_success


def test_a_farm_of_more_values_than_memory_has_room_for_is_refused(bench: Bench) -> None:
    """In 32 MiB there may be ten million objects."""
    body = b'{"services": [' + b"{}," * (MAX_VALUES // 2) + b'{}], "pools": []}'
    answer = bench.put("/v1/farm", content=body, headers=JSON)
    assert (413, f"up to {MAX_VALUES}") == (
        answer.status_code,
        answer.json()["errors"][0]["allowed"],
    )


def test_a_farm_is_not_read_before_its_sender_is_known(bench: Bench) -> None:
    """A stranger is refused before the first byte of the body is taken."""
    taken: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        taken.append(GOOD)
        yield GOOD

    headers = {**JSON, "Authorization": "Bearer wrong"}
    answer = bench.put("/v1/farm", content=body(), headers=headers)
    assert (401, []) == (answer.status_code, taken)


def test_large_bodies_are_read_one_at_a_time(bench: Bench) -> None:
    """So that they take the memory of one, whoever sends them."""
    read: list[str] = []

    async def body(name: str) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (SMALL_BODY_BYTES + 1)
            await asyncio.sleep(0)  # lets the other one read on, if it may
            read.append(name)
        yield b"{}"

    requests = [
        Request("PUT", f"/v1/pools/{name}", {"content": body(name), "headers": JSON})
        for name in "ab"
    ]
    assert [201, 201] == [answer.status_code for answer in bench.at_once(*requests)]
    assert read in (["a"] * 3 + ["b"] * 3, ["b"] * 3 + ["a"] * 3)


def test_a_small_body_does_not_wait_for_a_large_one(bench: Bench) -> None:
    """An agent's report is not held up by a farm that comes slowly."""

    async def body() -> AsyncIterator[bytes]:
        yield b" " * (SMALL_BODY_BYTES + 1)
        small = await bench.send(Request("PUT", "/v1/pools/small", {"content": b"{}", **sent}))
        assert 201 == small.status_code
        yield b"{}"

    sent: Sent = {"headers": JSON}
    answer = bench.put("/v1/pools/large", content=body(), headers=JSON)
    assert 201 == answer.status_code


def filled(head: str, item: str, tail: str) -> bytes:
    """Return a body of the longest length that has an item as often as it can."""
    count = (MAX_BODY_BYTES - len(head) - len(tail)) // (len(item) + 1)
    return (head + ",".join([item] * count) + tail).encode()


@pytest.mark.parametrize(
    "body",
    [
        filled('{"pools": [], "services": [', "1", "]}"),
        filled('{"pools": [], "services": [', "{}", "]}"),
        filled('{"services": [], "pools": [{"name": "a", "real_servers": [', "{}", "]}]}"),
        filled('{"services": [], "pools": [{"name": "a", "health_checks": [', "{}", "]}]}"),
        filled('{"services": [], "pools": [], "directors": [{"addresses": [', "0", "]}]}"),
        filled('{"pools": [], "services": [{"ports": [', '"x"', "]}]}"),
    ],
    ids=["no objects", "no fields", "servers", "checks", "addresses", "ports"],
)
def test_of_a_million_problems_the_first_hundred_are_found(bench: Bench, body: bytes) -> None:
    """The director's memory does not grow by more than a few times the body meanwhile."""
    tracemalloc.start()
    try:
        answer = bench.put("/v1/farm", content=body, headers=JSON)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    document = answer.json()
    assert (422, 100) == (answer.status_code, len(document["errors"]))
    assert "more than 100 problems; the first 100 are listed" == document["detail"]
    assert len({error["pointer"] for error in document["errors"]}) > 20
    assert most < 40 * MAX_BODY_BYTES


@pytest.mark.parametrize("keys", [MAX_KEYS + 1, 100_000])
def test_an_object_with_keys_without_end_is_refused(bench: Bench, keys: int) -> None:
    """Each would be a problem of its own."""
    answer = bench.put("/v1/farm", json={str(key): 1 for key in range(keys)})
    assert (400, f"an object has {keys} keys, more than {MAX_KEYS}") == (
        answer.status_code,
        answer.json()["errors"][0]["detail"],
    )
