"""Random requests, made from the OpenAPI document: never a 5xx, always an answer as documented."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from api.server.limits import Budget
from api.server.server import Server
from tests.api.bench import EXAMPLE, HEADERS, TUNNEL, Bench

STANDING = {
    "service": "web",
    "pool": "web",
    "server": "rs1",
    "tunnel": "c2d",
    "agent": "rs3",
    "token": "ci",
}
MAX_WAIT_S = 0.2
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
    unsupported_method,
]


Operation = schemathesis.APIOperation[Any, Any, Any, Any]


@contextlib.contextmanager
def served(bench: Bench) -> Iterator[str]:
    """Serve the app on loopback as a director does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(bench.app, Budget(anonymous=8, authenticated=8))
        serving = bench.portal.start_task_soon(server.serve, [listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            serving.result()


def bounded(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have hypothesis draw so many examples, the same in every run."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def send(operation: Operation, data: st.DataObject) -> None:
    """Send a random request of an operation and judge the answer."""
    mode = data.draw(st.sampled_from(GenerationMode))
    case = data.draw(operation.as_strategy(generation_mode=mode))
    if data.draw(st.booleans()):
        case.path_parameters = {name: STANDING[name] for name in case.path_parameters}
    if data.draw(st.booleans()):
        case.headers.clear()
    if isinstance(case.query.get("wait"), float | int):
        case.query["wait"] = min(case.query["wait"], MAX_WAIT_S)
    if operation.path == "/v1/events":
        case.query["follow"] = "false"
    case.call_and_validate(headers=HEADERS, checks=CHECKS)


def fill(bench: Bench) -> None:
    """Give the director one object of each kind."""
    bench.put("/v1/farm?force=true", json={**EXAMPLE, "tunnels": [TUNNEL]})
    bench.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": ["web"]})
    bench.put("/v1/tokens/ci", json={"role": "viewer"})


def assert_sound(bench: Bench) -> None:
    """Check that what is stored is a farm: read and sent back, it changes nothing."""
    farm = bench.get("/v1/farm").json()
    answer = bench.put("/v1/farm?dry_run=true", json=farm)
    assert (200, []) == (answer.status_code, answer.json().get("changes")), answer.text


@pytest.fixture
def operations(bench: Bench) -> Iterator[list[Operation]]:
    """Every operation of the OpenAPI document, of a director with one object of each kind."""
    fill(bench)
    with served(bench) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        found = list(schema.get_all_operations())
        assert all(isinstance(operation, Ok) for operation in found)
        yield [operation.ok() for operation in found]


def test_a_random_request_gets_a_proper_answer(bench: Bench, operations: list[Operation]) -> None:
    """As the document says, whatever was sent and to whichever operation."""

    @bounded(10)
    @given(data=st.data())
    def exercise(operation: Operation, data: st.DataObject) -> None:
        send(operation, data)

    for operation in operations:
        exercise(operation)
        assert_sound(bench)


def test_random_requests_one_after_another_leave_a_farm(
    bench: Bench, operations: list[Operation]
) -> None:
    """Objects come and go in any order; each time from one of each kind."""

    @bounded(60)
    @given(data=st.data())
    def exercise(data: st.DataObject) -> None:
        fill(bench)
        for operation in data.draw(st.lists(st.sampled_from(operations), min_size=2, max_size=10)):
            send(operation, data)
        assert_sound(bench)

    exercise()
