"""Reading a director's response within limits of size and time, whatever it sends."""

import asyncio
import contextlib
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import httpx

from lvsctl.errors import DirectorUnreachable
from lvsctl.net import IPAddress
from lvsctl.strict_json import read_json

MAX_BYTES = 4 * 1024 * 1024
"""Largest body. An assignment of 1,024 VIPs takes 50 kB."""
BODY_TIMEOUT_S = 10.0
"""Seconds from the end of the headers to the end of the body."""
_MAX_BRIEF = 300
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{0,254}"')  # RFC 9110, 8.8.3, in ASCII


@dataclass(frozen=True, slots=True)
class Answer:
    """A director's response.

    Attributes:
        status: HTTP status code.
        phrase: HTTP reason phrase. The director chose it, so it is not shown unescaped.
        etag: Entity tag; empty if there is none, or none that could be sent back.
        body: At most :data:`MAX_BYTES`.
        peer: Address that it came from; None without a network.
    """

    status: int
    phrase: str
    etag: str
    body: bytes
    peer: IPAddress | None

    def json(self) -> Any:  # noqa: ANN401 - JSON can be anything
        """Return the value in the body.

        Raises:
            ValueError: The body is empty, or :func:`read_json` refuses it.
        """
        return read_json(self.body)


async def ask(http: httpx.AsyncClient, request: httpx.Request, within_s: float) -> Answer:
    """Send a request and return the response.

    Redirects are not followed, and nothing is decompressed: a few bytes could become gigabytes.

    Args:
        http: The client.
        request: The request.
        within_s: Time limit until the end of the headers, in seconds.

    Raises:
        DirectorUnreachable: No response came within the limits.
    """
    url = str(http.base_url).rstrip("/")
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s) as limit:
            response = await http.send(request, stream=True, follow_redirects=False)
            async with contextlib.aclosing(response):
                limit.reschedule(loop.time() + BODY_TIMEOUT_S)
                body = await _body(url, response)
                etag = response.headers.get("ETag", "")
                return Answer(
                    response.status_code,
                    response.reason_phrase,
                    etag if _ETAG.fullmatch(etag) else "",
                    body,
                    _peer(response),
                )
    except TimeoutError as error:
        raise DirectorUnreachable(f"{url} does not answer in time") from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        why = brief(str(error)) or type(error).__name__
        raise DirectorUnreachable(f"{url} does not answer: {why}") from error


def brief(text: str) -> str:
    """Return untrusted text made safe to show: one short line of printable characters."""
    line = "".join(each if each.isprintable() else " " for each in text[: _MAX_BRIEF + 1])
    return line if len(line) <= _MAX_BRIEF else f"{line[: _MAX_BRIEF - 3]}..."


async def _body(url: str, response: httpx.Response) -> bytes:
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise DirectorUnreachable(
            f"{url} answers with Content-Encoding {brief(encoding)}, which was not requested; "
            "turn off compression in the proxy in front of it"
        )
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise DirectorUnreachable(f"{url} answers with more than {MAX_BYTES} bytes")
    return bytes(body)


def _peer(response: httpx.Response) -> IPAddress | None:
    stream = response.extensions.get("network_stream")
    where = None if stream is None else stream.get_extra_info("server_addr")
    if not isinstance(where, tuple):
        return None
    return ip_address(str(where[0]).partition("%")[0])
