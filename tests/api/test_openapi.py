"""The OpenAPI document says everything, and what it says is so."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema_rs
import pytest
from anyio.from_thread import BlockingPortal
from starlette.types import Message

from tests.api.bench import TUNNEL, Bench

FORCIBLE = ("/farm", "/override")
METHODS = ("get", "put", "patch", "post", "delete")


class Operation(NamedTuple):
    """An operation of the document.

    Attributes:
        method: HTTP method.
        path: With its parameters in braces.
        item: What the document says of it.
    """

    method: str
    path: str
    item: dict[str, Any]

    def address(self) -> str:
        """Return the path with the examples of its parameters."""
        examples = {
            parameter["name"]: parameter["schema"]["examples"][0]
            for parameter in self.item.get("parameters", ())
            if parameter["in"] == "path"
        }
        query = "&".join(
            f"{parameter['name']}={parameter['schema']['examples'][0]}"
            for parameter in self.item.get("parameters", ())
            if parameter["in"] == "query" and parameter["required"]
        )
        return self.path.format(**examples) + (f"?{query}" if query else "")


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in item:
            yield Operation(method, path, item[method])


@pytest.fixture
def document(bench: Bench) -> dict[str, Any]:
    """The document as it is served."""
    answer: dict[str, Any] = bench.get("/openapi.json").json()
    return answer


def test_the_surface_is_the_designs(document: dict[str, Any]) -> None:
    """Every route, and no other."""
    assert {
        "/healthz": {"get"},
        "/readyz": {"get"},
        "/metrics": {"get"},
        "/v1/farm": {"get", "put"},
        "/v1/history": {"get"},
        "/v1/services": {"get"},
        "/v1/services/{service}": {"get", "put", "patch", "delete"},
        "/v1/services/{service}/adopt": {"post"},
        "/v1/adopt": {"post"},
        "/v1/pools": {"get"},
        "/v1/pools/{pool}": {"get", "put", "patch", "delete"},
        "/v1/pools/{pool}/real-servers": {"get"},
        "/v1/pools/{pool}/real-servers/{server}": {"get", "put", "patch", "delete"},
        "/v1/pools/{pool}/real-servers/{server}/override": {"get", "put", "delete"},
        "/v1/tunnels": {"get"},
        "/v1/tunnels/{tunnel}": {"get", "put", "patch", "delete"},
        "/v1/agents": {"get"},
        "/v1/agents/{agent}": {"get", "put", "delete"},
        "/v1/agents/{agent}/assignment": {"get"},
        "/v1/agents/{agent}/report": {"put"},
        "/v1/table": {"get"},
        "/v1/plan": {"get"},
        "/v1/connections": {"get"},
        "/v1/explain": {"get"},
        "/v1/mode": {"get", "put"},
        "/v1/problems": {"get"},
        "/v1/events": {"get"},
        "/v1/audit": {"get"},
        "/v1/agents/{agent}/credential": {"post"},
        "/v1/join": {"post"},
        "/v1/tokens": {"get"},
        "/v1/tokens/{token}": {"get", "put", "delete"},
        "/v1/tokens/{token}/rotate": {"post"},
    } == {path: set(item) for path, item in document["paths"].items()}


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """With a summary, a description, a tag, a name of its own, and what may go wrong."""
    names = []
    for method, path, item in operations(document):
        assert item["summary"], path
        assert item["description"], path
        assert item["tags"], path
        names.append(item["operationId"])
        problems = {
            status
            for status, answer in item["responses"].items()
            if "application/problem+json" in answer.get("content", {})
        }
        expected = set()
        if path.startswith("/v1"):
            expected = {"400", "401", "422", "503"}
        if method in ("put", "patch"):
            expected |= {"413", "415"}
        assert expected <= problems, (method, path)
    assert len(names) == len(set(names))


def test_every_answer_has_a_form_and_an_example(document: dict[str, Any]) -> None:
    """The example is of that form."""
    for method, path, item in operations(document):
        for status, answer in item["responses"].items():
            if status in ("204", "304"):
                assert "content" not in answer
                continue
            ((media_type, content),) = answer["content"].items()
            if media_type.startswith("text/"):
                schema = content.get("schema") or content["itemSchema"]["properties"]["data"]
                assert "string" == schema["type"]
                continue
            name = content["schema"]["$ref"].rpartition("/")[2]
            (example,) = document["components"]["schemas"][name]["examples"]
            validator(document, name).validate(example)
            assert answer["description"], (method, path)


def test_every_request_has_a_form_and_an_example(document: dict[str, Any]) -> None:
    """The example is of that form."""
    for method, path, item in operations(document):
        takes = method in ("put", "patch") or path == "/v1/join"
        assert takes == ("requestBody" in item), (method, path)
        for content in item.get("requestBody", {}).get("content", {}).values():
            assert content["example"]
            if "$ref" in content["schema"]:
                name = content["schema"]["$ref"].rpartition("/")[2]
                validator(document, name).validate(content["example"])


def test_every_field_of_the_farm_is_described(document: dict[str, Any]) -> None:
    """A person reads there what it does."""
    for name in ("Service", "RealServer", "Override", "ModeRequest", "Registration", "TunnelEnd"):
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            assert "description" in schema or field in ("type", "pools"), (name, field)


def test_every_example_is_accepted(bench: Bench) -> None:
    """Each request's, at the example of its address."""
    document = bench.get("/openapi.json").json()
    bench.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": ["web"]})
    to_join = bench.put("/v1/tokens/join", json={"role": "join"}).json()["token"]
    for operation in operations(document):
        for media_type, content in operation.item.get("requestBody", {}).get("content", {}).items():
            force = "?force=true" if operation.path.endswith(FORCIBLE) else ""
            headers = {"Content-Type": media_type}
            if operation.path == "/v1/join":
                headers |= {"Authorization": f"Bearer {to_join}"}
            answer = bench.request(
                operation.method.upper(),
                f"{operation.address()}{force}",
                json=content["example"],
                headers=headers,
            )
            assert answer.is_success, (operation.method, operation.path, answer.text)


def test_everything_can_be_read_at_its_example(bench: Bench) -> None:
    """What is answered is of the form that the document gives."""
    document = bench.get("/openapi.json").json()
    bench.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": ["web"]})
    bench.put("/v1/pools/web/real-servers/rs1/override", json={"state": "draining"})
    bench.put("/v1/tunnels/c2d", json=TUNNEL)
    bench.put("/v1/tokens/ci", json={"role": "viewer"})
    bench.occupy("198.51.100.77", "192.0.2.40")
    for operation in operations(document):
        if operation.method != "get":
            continue
        ends = "?follow=false" if operation.path == "/v1/events" else ""
        answer = bench.get(operation.address() + ends)
        assert 200 == answer.status_code, (operation.path, answer.text)
        if answer.headers["Content-Type"].startswith("text/"):
            continue
        content = operation.item["responses"]["200"]["content"]["application/json"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        validator(document, name).validate(answer.json())


def test_the_documentation_needs_no_network(bench: Bench) -> None:
    """Every file that the page names comes from the director."""
    page = bench.get("/docs").text
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/static-offline-docs/{name}" in page
        assert 200 == bench.get(f"/static-offline-docs/{name}").status_code


def validator(document: dict[str, Any], name: str) -> jsonschema_rs.Draft202012Validator:
    """Return what judges whether a value has a form of the document."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": document["components"]},
        validate_formats=True,
    )


def test_the_document_is_written_once(portal: BlockingPortal, bench: Bench) -> None:
    """Whoever does not read it holds no copy of it."""

    async def body() -> bytes:
        bodies = []

        async def send(message: Message) -> None:
            bodies.append(message.get("body"))

        async def receive() -> Message:
            return {"type": "http.request"}

        host = [(b"host", b"localhost")]
        scope = {"type": "http", "method": "GET", "path": "/openapi.json", "headers": host}
        await bench.app({**scope, "query_string": b"", "server": ("localhost", 80)}, receive, send)
        return bodies[-1]

    assert portal.call(body) is portal.call(body)
