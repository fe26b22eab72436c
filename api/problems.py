"""Errors as problem details (RFC 9457): the one place where an error gets an HTTP status."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.rendering import json_bytes
from api.schemas.base import shown
from lvsctl.errors import (
    MAX_PROBLEMS,
    BoundaryError,
    ConfigurationError,
    Conflict,
    DirectorUnreachable,
    DrasticChange,
    InvalidInput,
    KernelError,
    KernelLacks,
    LvsctlError,
    MalformedMessage,
    NotFound,
    OutcomeUnknown,
    Problem,
    StaleBase,
    StaleRevision,
    StoreBehind,
    StoreCorrupt,
    StoreError,
    StoreInUse,
    StoreNotAccepted,
    StoreRefused,
    StoreTooNew,
    StoreUnavailable,
    TooManyRequests,
)
from lvsctl.reasons.documents import reason_document
from lvsctl.reasons.errors import INVALID_INPUT
from lvsctl.reasons.reason import Reason
from lvsctl.reasons.requests import BAD_HTTP, REQUEST_REFUSED

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """Properties shared by all errors of one class.

    Attributes:
        status: HTTP status.
        title: Kind of problem, for a person; the type URI for programs is made from it.
    """

    status: HTTPStatus
    title: str

    @property
    def code(self) -> str:
        """Stable, for programs."""
        return self.title.lower().replace(" ", "-")

    @property
    def uri(self) -> str:
        """The member ``type`` of the problem."""
        return f"urn:lvsctl:problem:{self.code}"


class RequestRefused(LvsctlError):
    """The HTTP request itself is invalid, whatever it asks for."""

    def __init__(
        self,
        problem_type: ProblemType,
        detail: str,
        problems: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem_type = problem_type
        self.problems = tuple(problems)
        self.headers = headers or {}


BAD_REQUEST = ProblemType(HTTPStatus.BAD_REQUEST, "Bad request")
NO_TOKEN = ProblemType(HTTPStatus.UNAUTHORIZED, "No token")
TOKEN_EXPIRED = ProblemType(HTTPStatus.UNAUTHORIZED, "Token expired")
FORBIDDEN = ProblemType(HTTPStatus.FORBIDDEN, "Forbidden")
FOREIGN_ORIGIN = ProblemType(HTTPStatus.FORBIDDEN, "Foreign origin")
FOREIGN_HOST = ProblemType(HTTPStatus.MISDIRECTED_REQUEST, "Foreign host")
NO_ADDRESS = ProblemType(HTTPStatus.NOT_FOUND, "No such address")
NO_METHOD = ProblemType(HTTPStatus.METHOD_NOT_ALLOWED, "No such method")
TOO_SLOW = ProblemType(HTTPStatus.REQUEST_TIMEOUT, "Too slow")
TOO_LONG = ProblemType(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too long")
WRONG_TYPE = ProblemType(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Wrong content type")
HEAD_TOO_LARGE = ProblemType(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Head too large")
NOT_YET = ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Not yet")
DEFECT = ProblemType(HTTPStatus.INTERNAL_SERVER_ERROR, "Defect")

TYPES: Mapping[type[LvsctlError], ProblemType] = {
    InvalidInput: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid input"),
    NotFound: ProblemType(HTTPStatus.NOT_FOUND, "Not found"),
    Conflict: ProblemType(HTTPStatus.CONFLICT, "Conflict"),
    TooManyRequests: ProblemType(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    StaleRevision: ProblemType(HTTPStatus.PRECONDITION_FAILED, "Stale revision"),
    DrasticChange: ProblemType(HTTPStatus.CONFLICT, "Drastic change"),
    KernelError: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Kernel refused"),
    KernelLacks: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Kernel lacks"),
    MalformedMessage: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Kernel not understood"),
    StaleBase: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Store busy"),
    StoreError: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Store failed"),
    StoreNotAccepted: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Store not accepted"),
    StoreUnavailable: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Store unavailable"),
    StoreRefused: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Store refused"),
    StoreInUse: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Store in use"),
    StoreBehind: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Store behind"),
    StoreCorrupt: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Store corrupt"),
    StoreTooNew: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Store too new"),
    OutcomeUnknown: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Outcome unknown"),
    DirectorUnreachable: ProblemType(HTTPStatus.BAD_GATEWAY, "Director unreachable"),
    BoundaryError: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Boundary failed"),
    ConfigurationError: ProblemType(HTTPStatus.INTERNAL_SERVER_ERROR, "Wrong configuration"),
    LvsctlError: ProblemType(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
}


def install(app: FastAPI) -> None:
    """Answer every error of an app with problem details."""
    app.add_exception_handler(LvsctlError, _lvsctl_error)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unforeseen)


def problem_response(error: LvsctlError) -> Response:
    """Return the response for an error."""
    if isinstance(error, RequestRefused):
        return _response(error.problem_type, _said(error), error.problems, error.headers)
    kind = next(TYPES[cls] for cls in type(error).__mro__ if cls in TYPES)
    if isinstance(error, InvalidInput):
        return _response(kind, INVALID_INPUT(error=_summary(error.problems)), error.problems)
    if isinstance(error, TooManyRequests):
        return _response(kind, error.reason, headers={"Retry-After": str(error.retry_after_s)})
    plan = error.plan if isinstance(error, DrasticChange) else None
    return _response(kind, error.reason, plan=plan)


def _said(refused: RequestRefused) -> Reason:
    """Return why a request is refused, with the code of its problem type."""
    return REQUEST_REFUSED[refused.problem_type.code](error=str(refused))


def no_address(path: str) -> RequestRefused:
    """Return the refusal of a path that no route takes."""
    return RequestRefused(NO_ADDRESS, f"there is nothing at {path}; for the valid paths see /docs")


def no_method(method: str, path: str, allowed: Iterable[str]) -> RequestRefused:
    """Return the refusal of a method that a path does not take."""
    methods = ", ".join(allowed)
    detail = f"{path} does not support {method}, only {methods}"
    return RequestRefused(NO_METHOD, detail, headers={"Allow": methods})


def _response(
    kind: ProblemType,
    why: Reason,
    problems: Sequence[Problem] = (),
    headers: Mapping[str, str] | None = None,
    plan: Sequence[str] | None = None,
) -> Response:
    document: dict[str, Any] = {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": str(why),
        **reason_document(why),
        "errors": [
            {
                "pointer": problem.pointer,
                "code": problem.code,
                "detail": problem.detail,
                "allowed": problem.allowed,
            }
            for problem in problems[:MAX_PROBLEMS]
        ],
    }
    if plan is not None:
        document["plan"] = plan
    return Response(json_bytes(document), kind.status, headers, MEDIA_TYPE)


def _summary(problems: Sequence[Problem]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    if len(problems) > MAX_PROBLEMS:
        return f"more than {MAX_PROBLEMS} problems; the first {MAX_PROBLEMS} are listed"
    return f"{len(problems)} problems"


async def _lvsctl_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, LvsctlError)  # noqa: S101 - installed for nothing else
    return problem_response(error)


async def _parameters(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - installed for nothing else
    problems = [
        Problem(
            "",
            f"{found['loc'][0]} parameter {found['loc'][-1]}: {shown(found['input'])} is invalid",
            found["msg"].removeprefix("Input should be "),
        )
        for found in error.errors()
    ]
    return problem_response(InvalidInput(problems))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - installed for nothing else
    path = request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem_response(no_address(path))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = request.app.state.contract.methods(path)
        return problem_response(no_method(request.method, path, allowed))
    status = HTTPStatus(error.status_code)
    why = BAD_HTTP(error=error.detail)
    return _response(ProblemType(status, status.phrase), why, headers=error.headers)


async def _gone(_: Request, __: Exception) -> Response:
    return problem_response(
        RequestRefused(BAD_REQUEST, "the client closed the connection during its request")
    )


async def _unforeseen(_: Request, __: Exception) -> Response:
    return problem_response(
        RequestRefused(
            DEFECT, "internal error; see the director's log: journalctl -u lvsctl-director"
        )
    )
