"""The director as an agent sees it: one Protocol, and HTTP behind it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from lvsctl.agent.documents import (
    Document,
    read_assignment,
    registration_document,
    report_document,
)
from lvsctl.agent.messages import Assignment, Registration, Report
from lvsctl.agent.report_limits import within_limits
from lvsctl.errors import (
    ConfigurationError,
    Conflict,
    DirectorUnreachable,
    InvalidInput,
    NotFound,
    Problem,
)
from lvsctl.token_file import read_token

_ANSWER_WITHIN_S = 10.0
"""Beyond the time that the director was asked to wait."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A director's answer to a registration.

    Attributes:
        applied: Its kernel was seen to be as the registration asks.
        reason: Why not.
    """

    applied: bool
    reason: str


class DirectorClient(Protocol):
    """One director.

    Every method raises :class:`DirectorUnreachable` where no sensible answer came,
    :class:`ConfigurationError` where the token is refused, :class:`Conflict` and
    :class:`InvalidInput` where the director refuses what was said, and :class:`NotFound` where it
    does not know the agent.
    """

    @property
    def url(self) -> str:
        """Where it is."""
        ...

    async def register(self, agent: str, registration: Registration, wait_s: int = 0) -> Stored:
        """Say who the agent is and where it stands."""
        ...

    async def assignment(
        self, agent: str, etag: str | None, wait_s: int
    ) -> tuple[str, Assignment] | None:
        """Return the assignment with its entity tag, None where it still is that of ``etag``."""
        ...

    async def report(self, agent: str, report: Report) -> None:
        """Tell how the host is."""
        ...

    async def connections(self, agent: str) -> int:
        """Return how many active connections go to the agent's host."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class HttpDirectorClient:
    """A director over HTTP.

    Args:
        url: Of the director, without the path ``/v1``.
        token_file: File with the bearer token, read for every request, so that it can be
            replaced; None for no token.
        transport: In place of the network.
    """

    def __init__(
        self,
        url: str,
        token_file: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        try:
            self._http = httpx.AsyncClient(
                base_url=self.url,
                auth=None if token_file is None else _TokenFile(token_file),
                headers={"User-Agent": "lvsctl-agent"},
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"--director {url} is no URL: {error}") from error
        if self._http.base_url.scheme not in {"http", "https"} or not self._http.base_url.host:
            raise ConfigurationError(
                f"--director {url} is no URL of a director, such as https://lb1:8080"
            )

    async def register(self, agent: str, registration: Registration, wait_s: int = 0) -> Stored:
        """Say who the agent is and where it stands."""
        answer = await self._ask(
            "PUT",
            _path(agent),
            content=json.dumps(registration_document(registration)),
            wait_s=wait_s,
        )
        document = self._object(answer)
        return Stored(document.get("applied") is True, str(document.get("reason") or ""))

    async def assignment(
        self, agent: str, etag: str | None, wait_s: int
    ) -> tuple[str, Assignment] | None:
        """Return the assignment with its entity tag, None where it still is that of ``etag``."""
        answer = await self._ask(
            "GET",
            _path(agent, "/assignment"),
            headers={} if etag is None else {"If-None-Match": etag},
            wait_s=wait_s,
        )
        if answer.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        return answer.headers.get("ETag", ""), read_assignment(self._object(answer))

    async def report(self, agent: str, report: Report) -> None:
        """Tell how the host is, as far as a report may be long."""
        content = json.dumps(report_document(within_limits(report)))
        await self._ask("PUT", _path(agent, "/report"), content=content)

    async def connections(self, agent: str) -> int:
        """Return how many active connections go to the agent's host."""
        count = self._object(await self._ask("GET", _path(agent))).get("connections")
        if type(count) is not int:
            raise DirectorUnreachable(f"{self.url} does not say how many connections there are")
        return count

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        content: str | None = None,
        headers: Mapping[str, str] | None = None,
        wait_s: int = 0,
    ) -> httpx.Response:
        json_type = {} if content is None else {"Content-Type": "application/json"}
        try:
            answer = await self._http.request(
                method,
                path,
                content=content,
                headers={**json_type, **(headers or {})},
                params={"wait": wait_s} if wait_s else None,
                timeout=_ANSWER_WITHIN_S + wait_s,
            )
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise DirectorUnreachable(f"{self.url} does not answer: {why}") from error
        if not answer.is_success and answer.status_code != HTTPStatus.NOT_MODIFIED:
            raise _refusal(self.url, answer)
        return answer

    def _object(self, answer: httpx.Response) -> Document:
        document = _json(answer)
        if not isinstance(document, dict):
            raise DirectorUnreachable(f"{self.url} answers with something else than a JSON object")
        return document


class _TokenFile(httpx.Auth):
    def __init__(self, path: Path) -> None:
        self._path = path

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {read_token(self._path)}"
        yield request


def _path(agent: str, below: str = "") -> str:
    return f"/v1/agents/{quote(agent, safe='')}{below}"


def _json(answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON can be anything
    try:
        return answer.json()
    except ValueError:
        return None


def _refusal(url: str, answer: httpx.Response) -> Exception:
    document = _json(answer)
    problem: Mapping[str, Any] = document if isinstance(document, dict) else {}
    said = f"{url}: {problem.get('detail') or problem.get('title') or answer.reason_phrase}"
    match answer.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound(said)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return ConfigurationError(f"{said}; give the director's token with --token-file")
        case HTTPStatus.CONFLICT:
            return Conflict(said)
        case HTTPStatus.UNPROCESSABLE_ENTITY | HTTPStatus.BAD_REQUEST:
            return InvalidInput(tuple(_problems(problem)) or (Problem("", said),))
        case status:
            return DirectorUnreachable(f"{said} (status {status})")


def _problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    errors = document.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            yield Problem(
                *(str(error.get(part) or "") for part in ("pointer", "detail", "allowed"))
            )
