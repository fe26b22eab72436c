"""Whatever a client sends: the answer names what is wrong, and nothing else happens."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.bench import EXAMPLE
from tests.support.director_process import TOKEN, DirectorProcess, director_process
from tests.support.hostile_requests import HostileRequest, exchange, hostile_requests

ANSWERS_WITHIN_S = 60


@pytest.fixture(scope="module")
def director(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectorProcess]:
    """One director for all requests, with the example farm in its table."""
    with director_process(tmp_path_factory.mktemp("director")) as director:
        put = ask(director, "PUT", "/v1/farm?wait=30", EXAMPLE)
        assert put["applied"]
        yield director


def ask(director: DirectorProcess, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Ask as a good client does."""
    answer = httpx.request(
        method,
        f"{director.url}{path}",
        headers=director.headers,
        json=body,
        timeout=ANSWERS_WITHIN_S,
    )
    assert answer.is_success, answer.text
    return answer.json()


def state_of(director: DirectorProcess) -> object:
    """Return what must not change: the farm, the kernel's table, the VIPs."""
    table = ask(director, "GET", "/v1/table")["services"]
    for service in table:
        service.pop("counters", None)
    services = ask(director, "GET", "/v1/services")["services"]
    return (
        ask(director, "GET", "/v1/farm"),
        [str(each) for each in table],
        [str(each) for each in services],
    )


@pytest.fixture(scope="module")
def before(director: DirectorProcess) -> object:
    return state_of(director)


@pytest.mark.parametrize("request_", [*hostile_requests()], ids=str)
def test_a_hostile_request_is_refused_and_changes_nothing(
    director: DirectorProcess, before: object, request_: HostileRequest
) -> None:
    """With a 4xx and problem details; the director lives and answers a good client."""
    where = (director.host, director.port)
    with socket.create_connection(where, ANSWERS_WITHIN_S) as connection:
        answer = exchange(connection, request_, TOKEN)
    assert request_.status == answer.status, answer
    if answer.status:
        assert answer.content_type == "application/problem+json"
        assert answer.status == json.loads(answer.body)["status"]
    assert before == state_of(director)
    assert director.process.poll() is None
