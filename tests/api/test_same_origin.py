"""A browser cannot be made to use the director for a page of somebody else's."""

from collections.abc import Iterator

import pytest

from tests.api.bench import EXAMPLE, Bench, json_of

HOST = {"Host": "lb1:8080"}
JSON = {"Content-Type": "application/json"}
EVIL = "evil.example"


@pytest.fixture
def unchanged(bench: Bench) -> Iterator[Bench]:
    """A director whose farm and kernel must be afterwards what they were before."""
    before = bench.revision, bench.kernel.table()
    yield bench
    assert before == (bench.revision, bench.kernel.table())


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    "host",
    [
        EVIL,
        f"{EVIL}:8080",
        f"lb1.{EVIL}",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.localhost",
        "2130706433",
        "0x7f.1",
        "lb1@evil.example",
        "lb1/evil.example",
        "lb1:80:80",
        "lb1:",
        "[lb1]",
        "[::1",
        "lb 1",
        "lb1\xe9",
        "",
    ],
)
def test_a_foreign_host_is_refused(unchanged: Bench, method: str, host: str) -> None:
    """Its name server may point to the director; the answer says what it is known as."""
    headers = {b"Host": host.encode("latin-1"), b"Content-Type": b"application/json"}
    answer = unchanged.request(method, "/v1/farm", content=b"{}", headers=headers)
    assert (421, "application/problem+json") == (
        answer.status_code,
        answer.headers["Content-Type"],
    )
    assert "an IP address, localhost, lb1" == answer.json()["errors"][0]["allowed"]
    assert "--host-name" in answer.json()["detail"]


@pytest.mark.parametrize(
    "host",
    [
        *("lb1", "LB1", "lb1.", "lb1:8080", "localhost", "localhost:1"),
        *("192.0.2.10", "192.0.2.10:8080", "127.0.0.1", "[::1]", "[2001:db8::1]:8080"),
    ],
)
def test_its_own_names_and_any_address_are_taken(bench: Bench, host: str) -> None:
    """An address is not looked up, so nobody can point it elsewhere."""
    assert 200 == bench.get("/v1/farm", headers={"Host": host}).status_code


@pytest.mark.parametrize(
    "origin",
    [
        f"http://{EVIL}",
        f"https://{EVIL}",
        "null",
        "",
        "http://lb1",
        "http://lb1:8081",
        "http://lb1:8080.evil.example",
        "ftp://lb1:8080",
        "http://lb1:8080/",
        "lb1:8080",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_foreign_origin_is_refused(unchanged: Bench, method: str, origin: str) -> None:
    """Browsers send it with every request that can change something."""
    answer = unchanged.request(method, "/v1/services/web", headers=HOST | {"Origin": origin})
    assert 403 == answer.status_code
    assert "http://lb1:8080, or none" == answer.json()["errors"][0]["allowed"]


@pytest.mark.parametrize("origin", ["http://lb1:8080", "https://lb1:8080", None])
def test_its_own_pages_and_programs_are_let_in(bench: Bench, origin: str | None) -> None:
    """Behind a proxy that speaks TLS the scheme is another; programs send no origin."""
    headers = HOST | ({"Origin": origin} if origin else {})
    assert 200 == bench.delete("/v1/services/web", headers=headers).status_code


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/plain; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain;application/json",
        "application/jsonp",
        "application/json, text/plain",
        "",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/services/web/adopt"),
        ("DELETE", "/v1/services/web"),
        ("PUT", "/v1/farm"),
        ("POST", "/v1/farm"),
        ("POST", "/nothing"),
    ],
)
def test_what_a_form_can_send_is_refused(
    unchanged: Bench, method: str, path: str, content_type: str
) -> None:
    """Also where no body is asked for, and by methods that there are not."""
    headers = {"Content-Type": content_type}
    answer = unchanged.request(method, path, content=json_of(EXAMPLE), headers=headers)
    assert 415 == answer.status_code
    assert "application/json" in answer.json()["errors"][0]["allowed"]


def test_a_body_of_no_type_is_refused(unchanged: Bench) -> None:
    """A page may leave the type out."""
    answer = unchanged.post("/v1/services/web/adopt", content=b"{}")
    assert 415 == answer.status_code


@pytest.mark.parametrize("headers", [{}, JSON, {"Content-Length": "0"}])
def test_a_write_without_a_body_needs_no_type(bench: Bench, headers: dict[str, str]) -> None:
    """As curl -X sends it."""
    assert 200 == bench.post("/v1/services/web/adopt", headers=headers).status_code


@pytest.mark.parametrize("name", ["Host", "Origin", "Content-Type", "Authorization"])
def test_a_header_that_is_there_twice_is_refused(unchanged: Bench, name: str) -> None:
    """A proxy might have gone by the other one."""
    twice = [(name, "lb1"), (name, "lb1")]
    answer = unchanged.request("GET", "/v1/farm", headers=twice)
    assert 400 == answer.status_code
    assert name.lower() in answer.json()["detail"]
