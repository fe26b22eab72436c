"""The director as an agent sees it: one Protocol, and HTTP behind it."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from lvsctl.agent.answer import Answer, ask, brief
from lvsctl.errors import (
    ConfigurationError,
    Conflict,
    DirectorUnreachable,
    InvalidInput,
    NotFound,
    Problem,
)
from lvsctl.messages.documents import (
    Document,
    read_assignment,
    registration_document,
    report_document,
)
from lvsctl.messages.limits import within_limits
from lvsctl.messages.model import Assignment, Registration, Report
from lvsctl.net import IPAddress
from lvsctl.token_file import read_token

ANSWER_WITHIN_S = 10.0
"""Beyond the time that the director was asked to wait."""
_MOST_CONNECTIONS = 2**63 - 1
_MOST_PROBLEMS = 20
"""Of a refusal; more help nobody."""

Resolve = Callable[[str], Awaitable[Collection[IPAddress]]]
"""Returns the addresses of a host by its name, none where they cannot be found out."""


async def _unresolved(_: str) -> Collection[IPAddress]:
    return ()


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

    @property
    def addresses(self) -> Collection[IPAddress]:
        """Addresses that it is known to have."""
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
        resolve: Asks for the addresses behind the URL's name.
    """

    def __init__(
        self,
        url: str,
        token_file: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        resolve: Resolve = _unresolved,
    ) -> None:
        self.url = url.rstrip("/")
        self._resolve = resolve
        self._resolved: frozenset[IPAddress] = frozenset()
        self._peer: IPAddress | None = None
        try:
            self._http = httpx.AsyncClient(
                base_url=self.url,
                auth=None if token_file is None else _TokenFile(token_file),
                headers={"User-Agent": "lvsctl-agent", "Accept-Encoding": "identity"},
                transport=transport,
                timeout=None,  # noqa: S113 - every question has its own limit
            )
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"--director {url} is no URL: {error}") from error
        if self._http.base_url.scheme not in {"http", "https"} or not self._http.base_url.host:
            raise ConfigurationError(
                f"--director {url} is no URL of a director, such as https://lb1:8080"
            )

    @property
    def addresses(self) -> Collection[IPAddress]:
        """Addresses behind its name when the agent last joined, and whence it last answered."""
        return self._resolved | ({self._peer} if self._peer else set())

    async def register(self, agent: str, registration: Registration, wait_s: int = 0) -> Stored:
        """Say who the agent is and where it stands."""
        self._resolved = frozenset(await self._resolve(self._http.base_url.host))
        answer = await self._ask(
            "PUT", _path(agent), content=registration_document(registration), wait_s=wait_s
        )
        document = self._object(answer)
        reason = brief(str(document.get("reason") or ""))
        return Stored(document.get("applied") is True, reason)

    async def assignment(
        self, agent: str, etag: str | None, wait_s: int
    ) -> tuple[str, Assignment] | None:
        """Return the assignment with its entity tag, None where it still is that of ``etag``."""
        answer = await self._ask(
            "GET",
            _path(agent, "/assignment"),
            headers={"If-None-Match": etag} if etag else {},
            wait_s=wait_s,
        )
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return None
        if answer.status != HTTPStatus.OK:
            # A part of an assignment would be an order to remove the rest.
            raise DirectorUnreachable(f"{self.url} answers with status {answer.status}, not 200")
        return answer.etag, read_assignment(self._object(answer))

    async def report(self, agent: str, report: Report) -> None:
        """Tell how the host is, as far as a report may be long."""
        content = report_document(within_limits(report))
        await self._ask("PUT", _path(agent, "/report"), content=content)

    async def connections(self, agent: str) -> int:
        """Return how many active connections go to the agent's host."""
        count = self._object(await self._ask("GET", _path(agent))).get("connections")
        if type(count) is not int or not 0 <= count <= _MOST_CONNECTIONS:
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
        content: Document | None = None,
        headers: Mapping[str, str] | None = None,
        wait_s: int = 0,
    ) -> Answer:
        request = self._http.build_request(
            method,
            path,
            json=content,
            headers=headers,
            params={"wait": wait_s} if wait_s else None,
        )
        answer = await ask(self._http, request, ANSWER_WITHIN_S + wait_s)
        self._peer = answer.peer or self._peer
        success = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
        if not success and answer.status != HTTPStatus.NOT_MODIFIED:
            raise _refusal(self.url, answer)
        return answer

    def _object(self, answer: Answer) -> Document:
        try:
            document = answer.json()
        except ValueError as error:
            raise DirectorUnreachable(
                f"{self.url} answers with something else than a JSON object: {brief(str(error))}"
            ) from error
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


def _refusal(url: str, answer: Answer) -> Exception:
    try:
        document = answer.json()
    except ValueError:
        document = None
    problem: Mapping[str, Any] = document if isinstance(document, dict) else {}
    words = problem.get("detail") or problem.get("title") or answer.phrase
    said = f"{url}: {brief(str(words))}"
    match answer.status:
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
    for error in errors[:_MOST_PROBLEMS] if isinstance(errors, list) else ():
        if isinstance(error, dict):
            yield Problem(
                *(brief(str(error.get(part) or "")) for part in ("pointer", "detail", "allowed"))
            )
