"""Two who write at once: with If-Match one wins, and without it nothing is lost unnoticed."""

from typing import Any

import httpx
import pytest

from tests.api.bench import Bench, Request, Sent, json_of

SERVICE = "/v1/services/web"
POOL = "/v1/pools/web"
SERVER = "/v1/pools/web/real-servers/rs1"
OVERRIDE = "/v1/pools/web/real-servers/rs1/override"

TWO_CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    SERVICE: ({"scheduler": "rr"}, {"scheduler": "lc"}),
    POOL: ({"real_servers": []}, {"real_servers": [{"name": "rs9", "address": "192.0.2.19"}]}),
    SERVER: ({"weight": 1}, {"weight": 2}),
}


def sent(etag: str, body: object) -> Sent:
    """Return what a request with If-Match carries."""
    return {"json": body, "headers": {"If-Match": etag}}


def stored(shown: httpx.Response) -> dict[str, Any]:
    """Return what was written of an object, without the status, which changes by itself."""
    return {field: value for field, value in shown.json().items() if field != "status"}


def names(servers: list[dict[str, Any]]) -> list[str]:
    return [server["name"] for server in servers]


def shows(bench: Bench, address: str, change: dict[str, Any]) -> bool:
    """Whether an object is as a change made it."""
    shown = bench.get(address).json()
    if "real_servers" in change:
        return names(change["real_servers"]) == names(shown["real_servers"])
    return change == {field: shown[field] for field in change}


@pytest.mark.parametrize("address", TWO_CHANGES)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_of_two_writes_of_one_object_one_wins(bench: Bench, address: str, method: str) -> None:
    """Both had read the same; the loser gets 412, and the winner's is what stands."""
    read = bench.get(address)
    bodies = [
        change if method == "PATCH" else read.json() | change for change in TWO_CHANGES[address]
    ]
    answers = bench.at_once(
        *(Request(method, address, sent(read.headers["ETag"], body)) for body in bodies)
    )
    statuses = [answer.status_code for answer in answers]
    assert [200, 412] == sorted(statuses)
    assert shows(bench, address, TWO_CHANGES[address][statuses.index(200)])


@pytest.mark.parametrize(
    ("one", "other"),
    [(SERVICE, "/v1/services/dns"), (SERVER, "/v1/pools/web/real-servers/rs2")],
)
def test_of_two_objects_written_at_once_both_win(bench: Bench, one: str, other: str) -> None:
    """Also where both are servers of one pool."""
    change = {"scheduler": "lc", "flags": []} if one == SERVICE else {"weight": 9}
    requests = [
        Request("PATCH", address, sent(bench.get(address).headers["ETag"], change))
        for address in (one, other)
    ]
    assert [200, 200] == [answer.status_code for answer in bench.at_once(*requests)]
    assert shows(bench, one, change)
    assert shows(bench, other, change)


def test_patches_at_once_lose_nothing(bench: Bench) -> None:
    """Without If-Match each is made on what stands when it is stored."""
    fields = [{"weight": 7}, {"upper_threshold": 90}, {"lower_threshold": 80}]
    bench.patch(SERVER, json={"upper_threshold": 100})
    answers = bench.at_once(*(Request("PATCH", SERVER, {"json": field}) for field in fields * 10))
    assert {200} == {answer.status_code for answer in answers}
    assert all(shows(bench, SERVER, field) for field in fields)


def test_servers_put_at_once_are_all_there(bench: Bench) -> None:
    """They share a pool and do not overwrite each other."""
    numbers = range(30, 60)
    answers = bench.at_once(
        *(
            Request("PUT", f"{POOL}/real-servers/n{n}", {"json": {"address": f"192.0.2.{n}"}})
            for n in numbers
        )
    )
    assert {201} == {answer.status_code for answer in answers}
    servers = names(bench.get(POOL).json()["real_servers"])
    assert {"rs1", "rs2", *(f"n{n}" for n in numbers)} == set(servers)


def test_of_two_who_create_one_wins(bench: Bench) -> None:
    """If-None-Match: * only creates."""
    request: Sent = {
        "json": {"vip": "198.51.100.99", "ports": [80], "pool": "web"},
        "headers": {"If-None-Match": "*"},
    }
    answers = bench.at_once(*[Request("PUT", "/v1/services/new", request)] * 2)
    assert [201, 412] == sorted(answer.status_code for answer in answers)


@pytest.mark.parametrize("address", [*TWO_CHANGES, OVERRIDE])
def test_what_stands_is_not_created(bench: Bench, address: str) -> None:
    """It stays as it is."""
    bench.put(OVERRIDE, json={"state": "draining"})
    before = bench.get(address)
    answer = bench.put(address, json=before.json(), headers={"If-None-Match": "*"})
    assert 412 == answer.status_code
    assert before.headers["ETag"] in answer.json()["detail"]
    after = bench.get(address)
    assert before.headers["ETag"] == after.headers["ETag"]
    assert stored(before) == stored(after)


@pytest.mark.parametrize("address", [*TWO_CHANGES, OVERRIDE])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_write_with_an_old_etag_is_refused(bench: Bench, address: str, method: str) -> None:
    """The answer says which one is right now."""
    bench.put(OVERRIDE, json={"state": "draining"})
    read = bench.get(address)
    change = TWO_CHANGES.get(address, ({"state": "disabled"},))[0]
    assert 200 == bench.put(address, json=read.json() | change).status_code
    body = json_of(read.json()) if method == "PUT" else b""
    answer = bench.request(
        method,
        address,
        content=body,
        headers={"If-Match": read.headers["ETag"], "Content-Type": "application/json"},
    )
    assert 412 == answer.status_code
    assert bench.get(address).headers["ETag"] in answer.json()["detail"]


def test_an_object_that_was_made_anew_is_another(bench: Bench) -> None:
    """What was read before does not match it, although it looks the same."""
    read = bench.get(SERVICE)
    bench.delete(SERVICE)
    bench.put(SERVICE, json=read.json())
    assert 412 == bench.patch(SERVICE, **sent(read.headers["ETag"], {})).status_code


@pytest.mark.parametrize("text", ["*", "{etag}", '"other", {etag}', '"a","b" ,\t{etag}'])
def test_if_match_holds(bench: Bench, text: str) -> None:
    """With any of its entity tags, and with * where the object stands."""
    text = text.format(etag=bench.get(SERVICE).headers["ETag"])
    assert 200 == bench.patch(SERVICE, **sent(text, {"scheduler": "rr"})).status_code


@pytest.mark.parametrize("text", ['"other"', "W/{etag}", '"a", "b"'])
def test_if_match_does_not_hold(bench: Bench, text: str) -> None:
    """With other entity tags, and with weak ones (RFC 9110, 13.1.1)."""
    text = text.format(etag=bench.get(SERVICE).headers["ETag"])
    assert 412 == bench.patch(SERVICE, **sent(text, {"scheduler": "rr"})).status_code


@pytest.mark.parametrize("text", ["17", '"a', "", "*, *", '"a" "b"', ","])
def test_what_is_no_entity_tag_is_refused(bench: Bench, text: str) -> None:
    """A precondition that is not understood must not be passed over."""
    assert 400 == bench.patch(SERVICE, **sent(text, {"scheduler": "rr"})).status_code


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_nothing_matches_what_does_not_stand(bench: Bench, method: str) -> None:
    """Neither a revision nor *."""
    for tag in ("*", '"1"'):
        answer = bench.request(
            method,
            "/v1/services/new",
            content=json_of({"vip": "198.51.100.99", "ports": [80], "pool": "web"}),
            headers={"If-Match": tag, "Content-Type": "application/json"},
        )
        assert 412 == answer.status_code
