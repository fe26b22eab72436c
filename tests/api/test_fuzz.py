"""Random requests, made from the OpenAPI document: never a 5xx, always an answer as documented."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import schemathesis
import uvicorn
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

from tests.api.bench import HEADERS, TUNNEL, Bench

STANDING = {"service": "web", "pool": "web", "server": "rs1", "tunnel": "c2d", "agent": "rs3"}
MAX_WAIT_S = 0.2
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
    unsupported_method,
]


@contextlib.contextmanager
def served(bench: Bench) -> Iterator[str]:
    """Serve the app on loopback, over real HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(bench.app, log_config=None, lifespan="off"))
        serving = bench.portal.start_task_soon(server.serve, [listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            serving.result()


@settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def exercise(operation: schemathesis.APIOperation[Any, Any, Any, Any], data: st.DataObject) -> None:
    """Send random requests of one operation and judge the answers."""
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


def test_a_random_request_gets_a_proper_answer(bench: Bench) -> None:
    """As the document says, whatever was sent and to whichever operation."""
    bench.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": ["web"]})
    bench.put("/v1/tunnels/c2d", json=TUNNEL)
    with served(bench) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        for operation in schema.get_all_operations():
            assert isinstance(operation, Ok)
            exercise(operation.ok())
