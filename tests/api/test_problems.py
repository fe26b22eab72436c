"""Every error has one status, and none of them shows what it should not."""

import json
from collections.abc import Iterator

import pytest

import lvsctl.errors
from api.problems import TYPES, problem_response
from lvsctl.errors import (
    DrasticChange,
    InvalidInput,
    KernelError,
    LvsctlError,
    StoreError,
    TooManyRequests,
)
from tests.api.bench import Bench


def tree(error: type[LvsctlError]) -> Iterator[type[LvsctlError]]:
    """Yield a class of errors and all below it."""
    yield error
    for below in error.__subclasses__():
        yield from tree(below)


def test_every_error_of_the_tree_has_a_status() -> None:
    """Named itself, so that a new one is thought about."""
    named = {error for error in tree(LvsctlError) if error.__module__ == lvsctl.errors.__name__}
    assert named == TYPES.keys()


@pytest.mark.parametrize("error", TYPES, ids=lambda error: error.__name__)
def test_every_error_becomes_problem_details(error: type[LvsctlError]) -> None:
    """With its own words."""
    raised: LvsctlError
    if issubclass(error, InvalidInput):
        raised = InvalidInput([lvsctl.errors.Problem("/x", "why", "what")])
    elif issubclass(error, DrasticChange):
        raised = DrasticChange("why", ["delete it"])
    elif issubclass(error, TooManyRequests):
        raised = TooManyRequests("why", 60)
    else:
        raised = error("why")
    answer = problem_response(raised)
    assert TYPES[error].status == answer.status_code
    assert "application/problem+json" == answer.headers["Content-Type"]
    document = json.loads(bytes(answer.body))
    assert "why" in document["detail"]
    assert error.kind.code == document["code"]


def test_types_are_told_apart() -> None:
    """A program goes by the type, not by words for people."""
    uris = [kind.uri for kind in TYPES.values()]
    assert len(uris) == len(set(uris))


def test_a_disk_that_fails_is_said(bench: Bench) -> None:
    """503; the state is as before, and so is the kernel."""
    bench.store.broken = StoreError("no space left on device")
    before = bench.revision
    answer = bench.delete("/v1/services/web")
    assert (503, "no space left on device") == (answer.status_code, answer.json()["detail"])
    assert before == bench.revision
    bench.store.broken = None
    assert 200 == bench.delete("/v1/services/web").status_code


@pytest.mark.parametrize("address", ["/v1/table", "/v1/plan"])
def test_a_kernel_that_cannot_be_read_is_said(bench: Bench, address: str) -> None:
    """503; it is never an empty table."""
    bench.ipvs.broken = KernelError("ip_vs is not loaded")
    answer = bench.get(address)
    assert (503, "ip_vs is not loaded") == (answer.status_code, answer.json()["detail"])


def test_what_nobody_foresaw_shows_nothing_of_the_inside(bench: Bench) -> None:
    """500 as problem details; the rest is in the log."""
    bench.ipvs.broken = RuntimeError("inside")
    answer = bench.get("/v1/table")
    assert (500, "application/problem+json") == (
        answer.status_code,
        answer.headers["Content-Type"],
    )
    assert "inside" not in answer.text


@pytest.mark.parametrize(
    ("address", "methods"),
    [
        ("/v1/farm", "GET, PUT"),
        ("/v1/services/web", "DELETE, GET, PATCH, PUT"),
        ("/v1/adopt", "POST"),
        ("/healthz", "GET"),
        ("/static-offline-docs/swagger-ui.css", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_taken_names_those_that_are(
    bench: Bench, address: str, methods: str
) -> None:
    """Over all routes of the address (RFC 9110, 15.5.6)."""
    answer = bench.request("OPTIONS", address)
    assert (405, methods) == (answer.status_code, answer.headers["Allow"])
