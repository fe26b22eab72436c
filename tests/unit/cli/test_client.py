"""The client: what goes wrong on the way to a director, in words that help."""

import json
from collections.abc import Callable

import httpx
import pytest

from lvsctl.cli.client import DirectorClient, DirectorRefused
from lvsctl.errors import ConfigurationError, DirectorUnreachable, Problem

URL = "http://lb1:8080"


def client_of(answer: Callable[[httpx.Request], httpx.Response]) -> DirectorClient:
    """Return a client whose director answers like this."""
    return DirectorClient(URL, "secret", httpx.MockTransport(answer))


def refusing(status: int, **problem: object) -> DirectorClient:
    """Return a client whose director refuses."""
    return client_of(
        lambda _: httpx.Response(
            status, json=problem, headers={"Content-Type": "application/problem+json"}
        )
    )


def test_a_request_carries_its_token() -> None:
    """And its body as JSON."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"revision": 5}, headers={"ETag": '"5"'})

    found = client_of(answer).put("v1", "mode", body={"mode": "enforce"})
    assert ({"revision": 5}, '"5"') == (found.document, found.etag)
    (request,) = seen
    assert "Bearer secret" == request.headers["Authorization"]
    assert "application/json" == request.headers["Content-Type"]
    assert {"mode": "enforce"} == json.loads(request.content)


@pytest.mark.parametrize(
    ("send", "method", "headers"),
    [
        (
            lambda client: client.create("v1", "pools", "a b", body={}),
            "PUT",
            {"If-None-Match": "*", "Content-Type": "application/json"},
        ),
        (
            lambda client: client.patch("v1", "pools", "a b", body={}),
            "PATCH",
            {"Content-Type": "application/merge-patch+json"},
        ),
        (lambda client: client.delete("v1", "pools", "a b"), "DELETE", {}),
        (lambda client: client.get("v1", "pools", "a b"), "GET", {}),
    ],
)
def test_each_request_says_what_it_means(
    send: Callable[[DirectorClient], object], method: str, headers: dict[str, str]
) -> None:
    """Creating refuses what stands, changing sends a merge patch; names are quoted."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    send(client_of(answer))
    (request,) = seen
    assert (method, b"/v1/pools/a%20b") == (request.method, request.url.raw_path)
    assert headers == {name: request.headers[name] for name in headers}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../mode"])
def test_a_name_that_changes_the_path_is_no_name(name: str) -> None:
    """It would reach something else than what was meant."""
    with pytest.raises(DirectorRefused, match="is not a name"):
        client_of(lambda _: httpx.Response(200, json={})).delete("v1", "services", name)


def test_a_refusal_carries_what_is_wrong() -> None:
    """Every error with its pointer, detail and what is allowed."""
    client = refusing(
        422,
        detail="2 things are wrong",
        errors=[
            {"pointer": "/vip", "detail": "it is missing", "allowed": "an address"},
            {"pointer": "/ports/0", "detail": "0 is out of range", "allowed": "1 to 65535"},
        ],
    )
    with pytest.raises(DirectorRefused) as refusal:
        client.get("v1", "farm")
    assert (422, Problem("/ports/0", "0 is out of range", "1 to 65535")) == (
        refusal.value.status,
        refusal.value.problems[1],
    )
    assert str(refusal.value).splitlines() == [
        "/vip: it is missing (allowed: an address)",
        "/ports/0: 0 is out of range (allowed: 1 to 65535)",
    ]


def test_a_drastic_change_shows_its_plan_and_the_way() -> None:
    """So that a person can decide."""
    client = refusing(409, detail="it removes 3 of 3 services", plan=["delete service fwmark 7"])
    with pytest.raises(DirectorRefused) as refusal:
        client.get("v1", "farm")
    assert str(refusal.value).splitlines() == [
        "it removes 3 of 3 services",
        "  delete service fwmark 7",
        "to do it anyway, use --force",
    ]


def test_a_wrong_token_is_said_with_its_cure() -> None:
    """The director's words are for programs."""
    with pytest.raises(
        DirectorRefused, match=r"did not accept the token: give --token-file or set LVSCTL_TOKEN"
    ):
        refusing(401, detail="no").get("v1", "farm")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<html>Bad Gateway</html>"),
        httpx.Response(404, json={"message": "not found"}),
        httpx.Response(500, json=["x"]),
        httpx.Response(422, json={"detail": "x", "errors": [{"pointer": "/a"}]}),
        httpx.Response(422, json={"detail": "x", "errors": 5}),
        httpx.Response(302, headers={"Location": "http://elsewhere/"}),
        httpx.Response(200, text="<html>It works!</html>"),
    ],
)
def test_what_is_no_director_is_told_from_one(answer: httpx.Response) -> None:
    """Another web server, or a proxy, answers at that address."""
    with pytest.raises(DirectorUnreachable, match=f"{URL} is not a director"):
        client_of(lambda _: answer).get("v1", "farm")


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("[Errno 111] Connection refused"),
        httpx.ConnectTimeout(""),
        httpx.ReadTimeout("timed out"),
        httpx.RemoteProtocolError("Server disconnected"),
    ],
)
def test_a_director_that_does_not_answer_is_named(error: httpx.HTTPError) -> None:
    """With the cause, how to look, and how to choose another."""

    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(DirectorUnreachable) as refusal:
        client_of(answer).get("v1", "farm")
    message = str(refusal.value)
    assert f"no director answers at {URL}: {str(error) or type(error).__name__}. " in message
    assert f"curl {URL}/healthz" in message
    assert "LVSCTL_URL" in message


def test_nothing_listens_on_a_real_port() -> None:
    """Through the network, not a double."""
    with pytest.raises(DirectorUnreachable, match="Connection refused"):
        DirectorClient("http://127.0.0.1:1", None).get("healthz")


@pytest.mark.parametrize("url", ["lb1", "ftp://lb1", "http://lb1:x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """It is the flag that is wrong, not the network."""
    with pytest.raises(ConfigurationError, match="--url"):
        DirectorClient(url, None).get("healthz")
