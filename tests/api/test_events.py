"""Events over REST and from the command line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from api.routes import events as route
from lvsctl.cli import watch
from lvsctl.cli.client import DirectorClient
from lvsctl.cli.main import lvsctl
from lvsctl.director.access.credentials import SHARED
from lvsctl.errors import DirectorUnreachable
from lvsctl.events import Event, EventKind
from tests.api.bench import HEADERS, TOKEN, Bench
from tests.api.command_line import Run
from tests.api.test_fuzz import served

ALL = "/v1/events?after=0&follow=false"


def fields(lines: Iterator[str] | Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield the fields of each server-sent event, as a browser reads them."""
    found: dict[str, str] = {}
    for line in lines:
        if not line and found:
            yield found
            found = {}
        elif line and not line.startswith(":"):
            field, _, value = line.partition(": ")
            found[field] = value


def happened(bench: Bench, address: str = ALL, **headers: str) -> list[dict[str, Any]]:
    """Return the events that an address gives, and see that each frame agrees with itself."""
    bench.portal.call(bench.daemon.events.flush)
    answer = bench.get(address, headers={"Last-Event-ID": "", **headers})
    assert (200, "text/event-stream") == (
        answer.status_code,
        answer.headers["Content-Type"].split(";")[0],
    )
    begin, *frames = fields(answer.text.split("\n"))
    assert {"id"} == begin.keys()
    found = []
    for frame in frames:
        document = json.loads(frame["data"])
        assert (frame["event"], frame.get("id")) == (
            document["kind"],
            str(document["id"]) if "id" in document else None,
        )
        found.append(document)
    return found


def emit(bench: Bench, count: int) -> None:
    """Let so many events happen."""
    event = Event(EventKind.HOST_PROBLEM, detail="sloppy_tcp is 1")
    bench.portal.call(lambda: bench.daemon.events.emit(*[event] * count))
    bench.portal.call(bench.daemon.events.flush)


def test_the_history_is_told_from_its_beginning(bench: Bench) -> None:
    """The farm that was stored, and what that did to the kernel."""
    stored, changed = happened(bench)[:2]
    assert {
        "id": 1,
        "at": "2026-01-01T00:00:00Z",
        "kind": "stored",
        "subject": "revision 1",
        "by": SHARED,
    } == {field: stored[field] for field in ("id", "at", "kind", "subject", "by")}
    assert "add service web" in stored["items"]
    assert (2, "kernel-changed") == (changed["id"], changed["kind"])


def test_who_resumes_gets_what_followed(bench: Bench) -> None:
    """By the header that a browser sends, which goes before the address."""
    emit(bench, 3)
    ids = [each["id"] for each in happened(bench)]
    assert [*range(1, ids[-1] + 1)] == ids
    assert ids[2:] == [each["id"] for each in happened(bench, "/v1/events?after=2&follow=false")]
    assert ids[3:] == [each["id"] for each in happened(bench, ALL, **{"Last-Event-ID": "3"})]
    assert [] == happened(bench, ALL, **{"Last-Event-ID": str(ids[-1])})
    assert [] == happened(bench, "/v1/events?follow=false")


def test_what_is_no_longer_kept_is_said(bench: Bench) -> None:
    """Nobody takes a gap for silence; what somebody changed outlasts what repeats itself."""
    emit(bench, 10_010)
    lost, stored, changed, oldest = happened(bench, ALL)[:4]
    missing = oldest["id"] - changed["id"] - 1
    assert missing >= 10
    assert "lost" == lost["kind"]
    assert f"{missing} events are no longer kept" in lost["detail"]
    assert ["stored", "kernel-changed"] == [stored["kind"], changed["kind"]]


@pytest.mark.parametrize("header", ["x", "-1", "1.5", "99999999999999999999", "²"])
def test_a_garbled_id_is_refused(bench: Bench, header: str) -> None:
    """With what would be right."""
    raw = {b"Last-Event-ID": header.encode()}
    answer = bench.get(ALL, headers={**{k.encode(): v.encode() for k, v in HEADERS.items()}, **raw})
    assert 422 == answer.status_code
    assert "a number" in answer.json()["errors"][0]["allowed"]


def test_without_the_token_nothing_is_told(bench: Bench) -> None:
    """It is all about the farm."""
    assert 401 == bench.get(ALL, headers={"Authorization": ""}).status_code


def test_events_come_while_they_happen(bench: Bench) -> None:
    """Over real HTTP; nothing of before, and each at once."""
    with served(bench) as url, httpx.stream("GET", f"{url}/v1/events", headers=HEADERS) as answer:
        told = fields(answer.iter_lines())
        begin = next(told)
        assert str(bench.daemon.events.last_id) == begin["id"]
        for weight in (7, 8):
            bench.patch("/v1/pools/web/real-servers/rs1?wait=10", json={"weight": weight})
            stored, changed = next(told), next(told)
            assert ("stored", "kernel-changed") == (stored["event"], changed["event"])
            assert f"weight {weight}" in changed["data"]


def test_a_quiet_stream_gives_signs_of_life(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that hangs up on silence stays."""
    monkeypatch.setattr(route, "KEEP_ALIVE_S", 0.01)
    with served(bench) as url, httpx.stream("GET", f"{url}/v1/events", headers=HEADERS) as answer:
        lines = answer.iter_lines()
        assert 3 == sum(line == ":" for line, _ in zip(lines, range(8), strict=False))


# --- the command line -----------------------------------------------------------------------


def test_the_history_on_the_command_line(run: Run, bench: Bench) -> None:
    """As lines for a person, and as JSON lines for a program."""
    bench.put("/v1/pools/web/real-servers/rs1/override?wait=10", json={"state": "draining"})
    expected = happened(bench)
    shown = [json.loads(line) for line in run("watch", "--once", "-o", "json").stdout.splitlines()]
    assert expected == shown
    text = run("watch", "--once", "--after", "2").stdout
    assert f"2026-01-01T00:00:00Z  server-state web/rs1: draining (by {SHARED})\n" in text
    assert "    edit 192.0.2.11:80 weight 0 of tcp 198.51.100.10:80\n" in text


class Breaking:
    """A director that answers with one more event each time and hangs up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.asked: list[int | None] = []
        self.times = times
        monkeypatch.setattr(DirectorClient, "events", self.events)
        monkeypatch.setattr(watch.time, "sleep", lambda _: None)

    def events(self, after: int | None, *, follow: bool) -> Iterator[Mapping[str, str]]:
        assert follow
        self.asked.append(after)
        if len(self.asked) > self.times:
            raise KeyboardInterrupt
        begin = 41 if after is None else after
        yield {"id": str(begin)}
        if len(self.asked) % 2 == 0:
            document = {"id": begin + 1, "at": "", "kind": "drift", "detail": "x", "items": []}
            yield {"id": str(begin + 1), "event": "drift", "data": json.dumps(document)}
        raise DirectorUnreachable("the director restarts")


def test_a_watch_goes_on_where_a_connection_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it had not seen an event yet."""
    director = Breaking(monkeypatch, 4)
    result = CliRunner().invoke(lvsctl, ["watch", "-o", "json"])
    assert [None, 41, 42, 42, 43] == director.asked
    assert [42, 43] == [json.loads(line)["id"] for line in result.stdout.splitlines()]
    assert "the director restarts; trying again" in result.stderr


def test_a_director_that_never_answered_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address may be wrong."""
    monkeypatch.setattr(watch.time, "sleep", lambda _: pytest.fail("it tries again"))
    result = CliRunner().invoke(lvsctl, ["watch", "--url", "http://127.0.0.1:1"])
    assert 1 == result.exit_code
    assert "no director answers" in result.stderr


def test_a_token_that_is_none_is_an_error(bench: Bench) -> None:
    """As with every other command."""
    with served(bench) as url:
        result = CliRunner().invoke(
            lvsctl, ["watch", "--url", url], env={"LVSCTL_TOKEN": TOKEN + "x"}
        )
    assert 1 == result.exit_code
    assert "did not accept the token" in result.stderr
