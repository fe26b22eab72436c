"""The OpenAPI document, with what FastAPI does not see: request bodies and problem details."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema
from starlette.routing import compile_path

from api.examples import ANSWERS
from api.problems import MEDIA_TYPE
from api.same_origin import JSON, MERGE_PATCH
from api.schemas.agents import Registration, Report
from api.schemas.answers import ProblemDetails, WriteAnswer
from api.schemas.base import Document
from api.schemas.farm import Farm
from api.schemas.mode import ModeRequest
from api.schemas.override import Override
from api.schemas.pool import Pool, RealServer
from api.schemas.service import Service
from api.schemas.tokens import JoinRequest, TokenRequest
from api.schemas.tunnel import PointToPointTunnel
from lvsctl.errors import InvalidInput, Problem

REFERENCE = "#/components/schemas/{model}"
BODIES: Sequence[type[Document]] = (
    Farm,
    Service,
    Pool,
    RealServer,
    PointToPointTunnel,
    Override,
    ModeRequest,
    Registration,
    Report,
    TokenRequest,
    JoinRequest,
)

Responses = dict[int | str, dict[str, Any]]


def refusals(*statuses: HTTPStatus) -> Responses:
    """Return the documentation of responses with problem details."""
    schema = {"$ref": REFERENCE.format(model=ProblemDetails.__name__)}
    return {
        status.value: {"description": status.phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


EVERY = refusals(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""Errors that any request below /v1 can get."""

CREATED: Responses = {
    HTTPStatus.CREATED.value: {
        "model": WriteAnswer,
        "description": "It was created.",
        "headers": {"Location": {"schema": {"type": "string"}}},
    }
}
MISSING = refusals(HTTPStatus.NOT_FOUND)
BODY = refusals(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
STALE = refusals(HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
CONFLICT = refusals(HTTPStatus.CONFLICT)
LIMITED = refusals(HTTPStatus.TOO_MANY_REQUESTS)


def takes(model: type[Document]) -> dict[str, Any]:
    """Return the documentation of a request body, as a route's ``openapi_extra``."""
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return _body({JSON: {"schema": schema, "example": example(model)}})


def takes_patch(model: type[Document], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the documentation of a merge patch of a document."""
    schema = {
        "type": "object",
        "description": f"Fields of {model.__name__} that change; null removes one (RFC 7396).",
    }
    content = {"schema": schema, "example": patch}
    return _body({MERGE_PATCH: content, JSON: content})


def _body(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def example(model: type[Document]) -> Any:  # noqa: ANN401 - any JSON
    """Return a model's example."""
    return model.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index]


class Contract:
    """The OpenAPI document of an app, and checks of requests against it.

    Args:
        app: The app with all its routes.
    """

    def __init__(self, app: FastAPI) -> None:
        self.document = _document(app)
        self._paths = [
            (compile_path(path)[0], {method.upper(): item for method, item in items.items()})
            for path, items in self.document["paths"].items()
        ]

    def methods(self, path: str) -> Sequence[str]:
        """Return the methods of a path; paths that are not documented are static files."""
        return sorted(self._operations(path)) or ["GET", "HEAD"]

    def refuse_unknown_query(self, request: Request) -> None:
        """Refuse undocumented query parameters: ``dryrun`` must not be a real run."""
        operation = self._operations(request.url.path).get(request.method, {})
        known = [item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"]
        names = [name for name, _ in request.query_params.multi_items()]
        problems = [
            Problem("", f"there is no query parameter {name!r}", ", ".join(known) or "none here")
            for name in dict.fromkeys(names)
            if name not in known
        ] + [
            Problem("", f"the query parameter {name!r} is there twice", "once")
            for name in known
            if names.count(name) > 1
        ]
        if problems:
            raise InvalidInput(problems)

    def _operations(self, path: str) -> Mapping[str, Mapping[str, Any]]:
        return next((items for pattern, items in self._paths if pattern.match(path)), {})


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        separate_input_output_schemas=False,
    )
    problem = TypeAdapter(ProblemDetails).json_schema(ref_template=REFERENCE)
    _, bodies = models_json_schema(
        [(model, "validation") for model in BODIES], ref_template=REFERENCE
    )
    document["components"]["schemas"] |= {
        **problem.pop("$defs"),
        ProblemDetails.__name__: problem,
        **bodies["$defs"],
    }
    for name, answer in ANSWERS.items():
        document["components"]["schemas"][name]["examples"] = [answer]
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    return document
