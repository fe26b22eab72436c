"""The agent's client for a director: the Protocol and its HTTP implementation."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from lvsctl.client.answer import Answer, ask, brief
from lvsctl.client.tls import trusting
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
from lvsctl.token_file import is_token, read_token

ANSWER_TIMEOUT_S = 10.0
"""Seconds, on top of the wait that the request asks for."""
_MAX_CONNECTIONS = 2**63 - 1
_MAX_PROBLEMS = 20
"""Problems shown of one error response."""

Resolve = Callable[[str], Awaitable[Collection[IPAddress]]]
"""Resolves a host name; returns nothing if that fails."""


async def _unresolved(_: str) -> Collection[IPAddress]:
    return ()


@dataclass(frozen=True, slots=True)
class RegistrationResult:
    """A director's answer to a registration.

    Attributes:
        applied: Its kernel was observed to match the registration.
        reason: Why it does not.
    """

    applied: bool
    reason: str


class DirectorClient(Protocol):
    """One director.

    Every method raises :class:`DirectorUnreachable` if no valid response came,
    :class:`ConfigurationError` if the token is refused, :class:`Conflict` or
    :class:`InvalidInput` if the director refuses the request, and :class:`NotFound` if it does
    not know the agent.
    """

    @property
    def url(self) -> str:
        """The base URL."""
        ...

    @property
    def addresses(self) -> Collection[IPAddress]:
        """Its known addresses."""
        ...

    async def register(
        self, agent: str, registration: Registration, wait_s: int = 0
    ) -> RegistrationResult:
        """Register the agent with its address, pools and membership."""
        ...

    async def assignment(
        self, agent: str, etag: str | None, wait_s: int
    ) -> tuple[str, Assignment] | None:
        """Return the entity tag and the assignment; None if ``etag`` is still current."""
        ...

    async def report(self, agent: str, report: Report) -> None:
        """Send a report on the host."""
        ...

    async def connections(self, agent: str) -> int:
        """Return the number of active connections to the agent's host."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class HttpDirectorClient:
    """A director over HTTP.

    Args:
        url: Base URL, without the path ``/v1``.
        token_file: File with the bearer token, read for every request so that it can be rotated;
            None for no token.
        transport: Replaces the network in tests.
        resolve: Resolves the URL's host name.
        ca_file: Certificate authority of the director; None for the public ones.
    """

    def __init__(
        self,
        url: str,
        token_file: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        resolve: Resolve = _unresolved,
        *,
        ca_file: Path | None = None,
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
                verify=trusting(ca_file) if ca_file else True,
                timeout=None,  # noqa: S113 - every request has its own limit
            )
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"--director {url} is not a URL: {error}") from error
        if self._http.base_url.scheme not in {"http", "https"} or not self._http.base_url.host:
            raise ConfigurationError(
                f"--director {url} is not a director's URL; give one such as https://lb1:8080"
            )

    @property
    def addresses(self) -> Collection[IPAddress]:
        """What its name resolved to at the last registration, and where it last answered from."""
        return self._resolved | ({self._peer} if self._peer else set())

    async def register(
        self, agent: str, registration: Registration, wait_s: int = 0
    ) -> RegistrationResult:
        """Register the agent with its address, pools and membership."""
        self._resolved = frozenset(await self._resolve(self._http.base_url.host))
        answer = await self._ask(
            "PUT", _path(agent), content=registration_document(registration), wait_s=wait_s
        )
        document = self._object(answer)
        reason = brief(str(document.get("reason") or ""))
        return RegistrationResult(document.get("applied") is True, reason)

    async def assignment(
        self, agent: str, etag: str | None, wait_s: int
    ) -> tuple[str, Assignment] | None:
        """Return the entity tag and the assignment; None if ``etag`` is still current."""
        answer = await self._ask(
            "GET",
            _path(agent, "/assignment"),
            headers={"If-None-Match": etag} if etag else {},
            wait_s=wait_s,
        )
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return None
        if answer.status != HTTPStatus.OK:
            # A partial assignment would be an order to remove the rest.
            raise DirectorUnreachable(f"{self.url} answers with status {answer.status}, not 200")
        return answer.etag, read_assignment(self._object(answer))

    async def report(self, agent: str, report: Report) -> None:
        """Send the report, cut to the size that a director accepts."""
        content = report_document(within_limits(report))
        await self._ask("PUT", _path(agent, "/report"), content=content)

    async def connections(self, agent: str) -> int:
        """Return the number of active connections to the agent's host."""
        count = self._object(await self._ask("GET", _path(agent))).get("connections")
        if type(count) is not int or not 0 <= count <= _MAX_CONNECTIONS:
            raise DirectorUnreachable(f"{self.url} does not report the number of connections")
        return count

    async def join(self, agent: str, address: IPAddress) -> str:
        """Buy a credential for an agent with the token in the file; return it."""
        content = {"agent": agent, "address": str(address)}
        return self._credential(await self._ask("POST", "/v1/join", content=content))

    async def renew_credential(self, agent: str) -> str:
        """Return another credential for an agent that shows the one it has."""
        return self._credential(await self._ask("POST", _path(agent, "/credential")))

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    def _credential(self, answer: Answer) -> str:
        text = self._object(answer).get("token")
        if not isinstance(text, str) or not is_token(text):
            raise DirectorUnreachable(f"{self.url} does not answer with a credential")
        return text

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
        answer = await ask(self._http, request, ANSWER_TIMEOUT_S + wait_s)
        self._peer = answer.peer or self._peer
        success = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
        if not success and answer.status != HTTPStatus.NOT_MODIFIED:
            raise _error_from(self.url, answer)
        return answer

    def _object(self, answer: Answer) -> Document:
        try:
            document = answer.json()
        except ValueError as error:
            raise DirectorUnreachable(
                f"{self.url} does not answer with a JSON object: {brief(str(error))}"
            ) from error
        if not isinstance(document, dict):
            raise DirectorUnreachable(f"{self.url} does not answer with a JSON object")
        return document


class _TokenFile(httpx.Auth):
    def __init__(self, path: Path) -> None:
        self._path = path

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {read_token(self._path)}"
        yield request


def _path(agent: str, below: str = "") -> str:
    return f"/v1/agents/{quote(agent, safe='')}{below}"


def _error_from(url: str, answer: Answer) -> Exception:
    try:
        document = answer.json()
    except ValueError:
        document = None
    problem: Mapping[str, Any] = document if isinstance(document, dict) else {}
    detail = problem.get("detail") or problem.get("title") or answer.phrase
    message = f"{url}: {brief(str(detail))}"
    match answer.status:
        case HTTPStatus.NOT_FOUND:
            return NotFound(message)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return ConfigurationError(f"{message}; give the director's token with --token-file")
        case HTTPStatus.CONFLICT:
            return Conflict(message)
        case HTTPStatus.UNPROCESSABLE_ENTITY | HTTPStatus.BAD_REQUEST:
            return InvalidInput(tuple(_problems(problem)) or (Problem("", message),))
        case status:
            return DirectorUnreachable(f"{message} (status {status})")


def _problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    errors = document.get("errors")
    for error in errors[:_MAX_PROBLEMS] if isinstance(errors, list) else ():
        if isinstance(error, dict):
            yield Problem(
                *(brief(str(error.get(part) or "")) for part in ("pointer", "detail", "allowed"))
            )
