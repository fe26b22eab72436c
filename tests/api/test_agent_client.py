"""The agent's client over the real app, and the director that the agent's tests use instead."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from lvsctl.agent.director_client import DirectorClient, HttpDirectorClient, RegistrationResult
from lvsctl.errors import (
    ConfigurationError,
    Conflict,
    DirectorUnreachable,
    InvalidInput,
    LvsctlError,
    NotFound,
)
from lvsctl.messages.model import (
    Assignment,
    Finding,
    Membership,
    Registration,
    Report,
    Severity,
    Tunnel,
)
from lvsctl.net import IPAddress
from tests.api.bench import TOKEN, Bench
from tests.support.fake_director import FakeDirector

T = TypeVar("T")
RIP = IPv4Address("192.0.2.13")
VIPS = (IPv4Address("198.51.100.10"), IPv4Address("198.51.100.20"))
REGISTRATION = Registration(RIP, ("web",))
IPIP = Tunnel("ipip")


@dataclass
class Side:
    """A director and a client of it.

    Attributes:
        client: The client.
        bench: Runs what the client does.
        farm_id: Of the director's farm.
        assign: Sets the VIPs of the pool ``web``.
    """

    client: DirectorClient
    bench: Bench
    farm_id: str
    assign: Callable[..., None]

    def register(
        self, registration: Registration = REGISTRATION, wait_s: int = 0
    ) -> RegistrationResult:
        return self.bench.portal.call(self.client.register, "rs3", registration, wait_s)

    def assignment(self, etag: str | None = None) -> tuple[str, Assignment] | None:
        return self.bench.portal.call(self.client.assignment, "rs3", etag, 0)

    def report(self, report: Report) -> None:
        self.bench.portal.call(self.client.report, "rs3", report)

    def connections(self) -> int:
        return self.bench.portal.call(self.client.connections, "rs3")


def put_farm(bench: Bench, *vips: IPAddress) -> None:
    services = [
        {"name": f"web{number}", "vip": str(vip), "ports": [80], "pool": "web"}
        for number, vip in enumerate(vips)
    ]
    farm = {"services": services, "pools": [{"name": "web"}], "directors": []}
    assert bench.put("/v1/farm?wait=10&force=true", json=farm).json()["applied"]


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
def http(empty: Bench, token_file: Path) -> Iterator[Side]:
    put_farm(empty)
    client = HttpDirectorClient(
        "http://lb1:8080/",
        token_file,
        httpx.ASGITransport(empty.app, client=("192.0.2.13", 40000)),
    )
    yield Side(client, empty, empty.daemon.state.farm_id, partial(put_farm, empty))
    empty.portal.call(client.close)


@pytest.fixture(params=["http", "fake"])
def side(request: pytest.FixtureRequest, empty: Bench) -> Side:
    if request.param == "http":
        http: Side = request.getfixturevalue("http")
        return http
    fake = FakeDirector()
    return Side(fake, empty, fake.farm_id, fake.assign)


def test_an_unknown_agent_is_told_so(side: Side) -> None:
    """Every question but joining is answered with NotFound."""
    for ask in (
        side.assignment,
        partial(side.report, Report("f1", (), ())),
        side.connections,
    ):
        with pytest.raises(NotFound):
            ask()


def test_the_assignment_is_sent_once(side: Side) -> None:
    """With its tag, then not again, then when it is another."""
    side.register()
    side.assign(*VIPS)
    answer = side.assignment()
    assert answer is not None
    etag, assignment = answer
    asked = Assignment(side.farm_id, "rs3", VIPS, (IPIP,))
    assert asked == replace(assignment, epoch=asked.epoch, revision=asked.revision)
    assert side.assignment(etag) is None
    side.assign(*VIPS[:1])
    answer = side.assignment(etag)
    assert answer is not None
    assert (etag != answer[0], VIPS[:1]) == (True, answer[1].vips)


def test_a_leave_is_confirmed(side: Side) -> None:
    """Leaving and left are applied; without waiting nothing is said about that."""
    side.assign(*VIPS)
    side.register()
    finding = Finding(Severity.BROKEN, "tunl0", "down", "up", "2026-01-02T03:04:05Z")
    side.report(Report(side.farm_id, VIPS, (IPIP,), (finding,)))
    assert 0 == side.connections()
    for membership in (Membership.LEAVING, Membership.LEFT, Membership.JOINED):
        assert side.register(Registration(RIP, ("web",), 100, membership), wait_s=5).applied


def test_the_same_registration_twice(side: Side) -> None:
    """Joining again is no error."""
    side.register()
    side.register()
    assert side.assignment() is not None


def test_refusals_have_their_reasons(http: Side) -> None:
    """A pool that is not there, an address that is another agent's, a token that is wrong."""
    with pytest.raises(InvalidInput, match="nopool"):
        http.register(Registration(RIP, ("nopool",)))
    http.register()
    with pytest.raises(Conflict, match=r"192\.0\.2\.13"):
        http.bench.portal.call(http.client.register, "rs4", REGISTRATION)


def test_a_wrong_token_is_told_with_its_cure(http: Side, token_file: Path) -> None:
    """A replaced token is read for the next question."""
    token_file.write_text("fedcba9876543210")
    with pytest.raises(ConfigurationError, match="--token-file"):
        http.register()
    token_file.write_text(TOKEN)
    http.register()


def test_a_name_is_one_part_of_the_path(http: Side) -> None:
    """Whatever is in it, it stays a name, and the director judges it."""
    with pytest.raises(LvsctlError):
        http.bench.portal.call(http.client.register, "../../farm", REGISTRATION)


ANSWERS = [
    (httpx.Response(200, text="<html>"), DirectorUnreachable, "JSON object"),
    (httpx.Response(200, json=[1]), DirectorUnreachable, "JSON object"),
    (httpx.Response(200, json={"vips": []}), InvalidInput, "/farm_id"),
    (httpx.Response(302, headers={"Location": "/"}), DirectorUnreachable, "302"),
    (httpx.Response(404, text="nginx"), NotFound, "lb1"),
    (httpx.Response(409, json={"detail": "taken"}), Conflict, "taken"),
    (httpx.Response(422, json={"errors": "x", "detail": "bad"}), InvalidInput, "bad"),
    (
        httpx.Response(422, json={"errors": [{"pointer": "/pools/0", "detail": "no"}, 7]}),
        InvalidInput,
        "/pools/0: no",
    ),
    (httpx.Response(500, json=None), DirectorUnreachable, "status 500"),
    (httpx.Response(503, json={"detail": "no cycle yet"}), DirectorUnreachable, "no cycle yet"),
    (httpx.ConnectError("refused"), DirectorUnreachable, "refused"),
    (httpx.ReadTimeout(""), DirectorUnreachable, "ReadTimeout"),
    (httpx.RemoteProtocolError("garbage"), DirectorUnreachable, "garbage"),
]


@pytest.mark.parametrize(("answer", "expected", "told"), ANSWERS)
def test_whatever_answers_is_understood_or_refused(
    empty: Bench,
    answer: httpx.Response | httpx.HTTPError,
    expected: type[LvsctlError],
    told: str,
) -> None:
    """A proxy's page, an older or newer director, a broken one: always an error of ours."""

    def respond(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, httpx.HTTPError):
            raise answer
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
        )

    client = HttpDirectorClient("http://lb1:8080", transport=httpx.MockTransport(respond))
    with pytest.raises(expected, match=told):
        empty.portal.call(client.assignment, "rs3", None, 0)


@pytest.mark.parametrize("url", ["", "lb1:8080", "ftp://lb1", "http://", "http://[::1", "/v1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """With the flag that it came from."""
    with pytest.raises(ConfigurationError, match="--director"):
        HttpDirectorClient(url)


@pytest.mark.parametrize("content", ["", "  \n", "with\nlines", "umlaut ü"])
def test_what_is_no_token_is_refused(empty: Bench, tmp_path: Path, content: str) -> None:
    """An empty or a binary file never becomes a header."""
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(content)
    client = HttpDirectorClient("http://lb1:8080", path)
    with pytest.raises(ConfigurationError, match="--token-file"):
        empty.portal.call(client.connections, "rs3")
