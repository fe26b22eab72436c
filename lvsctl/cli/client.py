"""Client of the director's REST API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from lvsctl.cli.words import words_of
from lvsctl.client.address import socket_of
from lvsctl.client.tls import trusting
from lvsctl.client.unix import base_url_of, unix_transport
from lvsctl.errors import ConfigurationError, DirectorUnreachable, LvsctlError, Problem
from lvsctl.farm.rules.fields import NAME_ALLOWED

Json = Any
"""A JSON value as :mod:`json` reads it."""

MERGE_PATCH = "application/merge-patch+json"
CONNECT_TIMEOUT_S = 5
SILENT_S = 45
"""The event stream sends a keep-alive every 15 seconds."""
ANSWER_TIMEOUT_S = 60
"""A write may have to wait for the director's other work."""


class DirectorRefused(LvsctlError):
    """The director refused a request.

    Attributes:
        status: HTTP status.
        problems: What is wrong with the input, if anything.
        plan: What the change would do, if it needs ``--force``.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        problems: Sequence[Problem] = (),
        plan: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.problems = tuple(problems)
        self.plan = tuple(plan)

    def __str__(self) -> str:
        problems = [str(problem) for problem in self.problems]
        lines = problems or [super().__str__()]
        if self.plan:
            lines += [
                *(f"  {operation}" for operation in self.plan),
                "to do it anyway, use --force",
            ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the director.

    Attributes:
        document: The body; None if empty.
        etag: Entity tag of the object; None without.
    """

    document: Json
    etag: str | None


class DirectorClient:
    """Client of one director.

    Args:
        url: ``http://192.0.2.10:8080`` or ``unix:/run/lvsctl/director.sock``.
        token: Bearer token; None for none.
        transport: Replaces the network in tests.
        ca_file: Certificate authority of the director; None for the public ones.

    Raises:
        ConfigurationError: The URL is invalid.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        transport: httpx.BaseTransport | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        headers = {b"Accept": b"application/json"}
        if token:
            headers[b"Authorization"] = f"Bearer {token}".encode()
        try:
            self._client = httpx.Client(
                base_url=base_url_of(self._url),
                headers=headers,
                timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                transport=transport or unix_transport(self._url),
                verify=trusting(ca_file) if ca_file else True,
                trust_env=False,  # the director is local; a proxy for the Internet cannot reach it
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise ConfigurationError(f"--url {url}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def get(self, *path: str, parameters: Mapping[str, str] | None = None) -> Answer:
        """Read a resource; the parts of its path are quoted here."""
        return self._ask("GET", path, None, parameters)

    def put(
        self,
        *path: str,
        body: Json,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Create or replace what stands at a path."""
        return self._ask("PUT", path, body, parameters, headers)

    def create(self, *path: str, body: Json) -> Answer:
        """Create what must not stand yet."""
        return self.put(*path, body=body, headers={"If-None-Match": "*"})

    def patch(self, *path: str, body: Json) -> Answer:
        """Change parts of what stands at a path."""
        return self._ask("PATCH", path, body, headers={"Content-Type": MERGE_PATCH})

    def delete(self, *path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Remove what stands at a path."""
        return self._ask("DELETE", path, headers=headers)

    def post(self, *path: str, parameters: Mapping[str, str] | None = None) -> Answer:
        """Request an action."""
        return self._ask("POST", path, parameters=parameters)

    def events(self, after: int | None, *, follow: bool) -> Iterator[Mapping[str, str]]:
        """Yield the fields of each server-sent event; the first has an ``id`` only.

        Args:
            after: Id of the last event seen; None for new events only.
            follow: Keep the stream open for further events.

        Raises:
            DirectorUnreachable: The connection broke.
            DirectorRefused: The director refused the request.
        """
        parameters = {"follow": str(follow).lower()}
        if after is not None:
            parameters["after"] = str(after)
        try:
            with self._client.stream(
                "GET",
                "/v1/events",
                params=parameters,
                headers={"Accept": "text/event-stream"},
                timeout=httpx.Timeout(SILENT_S, connect=CONNECT_TIMEOUT_S),
            ) as response:
                if not response.is_success:
                    response.read()
                    raise self._refusal(response)
                yield from _server_sent(response.iter_lines())
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _ask(
        self,
        method: str,
        path: Sequence[str],
        body: Json = None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        typed = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = self._client.request(
                method,
                "/" + "/".join(map(_segment, path)),
                params=parameters or {},
                content=content,
                headers={**typed, **(headers or {})},
            )
        except httpx.UnsupportedProtocol as error:
            raise ConfigurationError(
                f"--url {self._url}: a URL starts with http:// or https://, or is unix:PATH"
            ) from error
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_success:
            return Answer(self._json(response), response.headers.get("ETag"))
        raise self._refusal(response)

    def _unreachable(self, error: httpx.HTTPError) -> DirectorUnreachable:
        if socket_of(self._url):
            cure = (
                "Only root and the director's user can connect (sudo lvsctl …), and a director "
                "must be running (systemctl status lvsctl-director)"
            )
        else:
            cure = f"Check that one is running there (curl {self._url}/healthz)"
        return DirectorUnreachable(
            f"no director answers at {self._url}: {str(error) or type(error).__name__}. "
            f"{cure}, or give another address with --url or LVSCTL_URL"
        )

    def _json(self, response: httpx.Response) -> Json:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise DirectorUnreachable(
                f"{self._url} is not a director: it sent "
                f"{response.headers.get('Content-Type', 'something')} instead of JSON; check --url"
            ) from error

    def _refusal(self, response: httpx.Response) -> LvsctlError:
        try:
            document = response.json()
            problems = [
                Problem(each["pointer"], each["detail"], each.get("allowed", ""))
                for each in document.get("errors", ())
            ]
            detail, plan = words_of(document, str(document["detail"])), document.get("plan", ())
        except (ValueError, LookupError, TypeError, AttributeError):
            return DirectorUnreachable(
                f"{self._url} is not a director: it sent status {response.status_code} without "
                "problem details; check --url"
            )
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            detail = f"{self._url} did not accept the token: give --token-file or set LVSCTL_TOKEN"
        return DirectorRefused(response.status_code, detail, problems, plan)


def _server_sent(lines: Iterator[str]) -> Iterator[Mapping[str, str]]:
    """Yield the fields of each event; comments and an incomplete last event are ignored."""
    found: dict[str, str] = {}
    for line in lines:
        field, _, value = line.partition(":")
        if field:
            found[field] = value.removeprefix(" ")
        elif not line and found:
            yield found
            found = {}


def _segment(name: str) -> str:
    """Quote a name as one segment of a path; refuse names that would change the path."""
    if "/" in name or name in ("", ".", ".."):
        raise DirectorRefused(
            HTTPStatus.NOT_FOUND, f"{name!r} is not a name (allowed: {NAME_ALLOWED})"
        )
    return quote(name, safe="")
