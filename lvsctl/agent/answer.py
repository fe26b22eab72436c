"""A director's answer, read within limits of size and time whatever the director sends."""

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

MOST_BYTES = 4 * 1024 * 1024
"""Of a body. An assignment of 1,024 VIPs has 50 kB."""
BODY_WITHIN_S = 10.0
"""From the end of the head to the end of the body."""
_MOST_SAID = 300
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{0,254}"')  # RFC 9110, 8.8.3, in ASCII


@dataclass(frozen=True, slots=True)
class Answer:
    """What a director answered.

    Attributes:
        status: Of HTTP.
        phrase: The status in words; from the director, so not to be shown as it is.
        etag: The entity tag; empty where there is none, or none that could be sent back.
        body: At most :data:`MOST_BYTES`.
        peer: The address that it came from; None where there is no network.
    """

    status: int
    phrase: str
    etag: str
    body: bytes
    peer: IPAddress | None

    def json(self) -> Any:  # noqa: ANN401 - JSON can be anything
        """Return the value in the body.

        Raises:
            ValueError: There is none, or one that :func:`read_json` refuses.
        """
        return read_json(self.body)


async def ask(http: httpx.AsyncClient, request: httpx.Request, within_s: float) -> Answer:
    """Send a request and return the answer.

    Redirects are not followed, and nothing is decompressed: a few bytes could become gigabytes.

    Args:
        http: The connections.
        request: What is asked.
        within_s: How long the director may take until the end of the head.

    Raises:
        DirectorUnreachable: No answer came that keeps to the limits.
    """
    url = str(http.base_url).rstrip("/")
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s) as limit:
            response = await http.send(request, stream=True, follow_redirects=False)
            async with contextlib.aclosing(response):
                limit.reschedule(loop.time() + BODY_WITHIN_S)
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
    """Return what may be shown of a text that somebody else wrote: one line, not long."""
    line = "".join(each if each.isprintable() else " " for each in text[: _MOST_SAID + 1])
    return line if len(line) <= _MOST_SAID else f"{line[: _MOST_SAID - 3]}..."


async def _body(url: str, response: httpx.Response) -> bytes:
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise DirectorUnreachable(
            f"{url} answers with Content-Encoding {brief(encoding)}, which was not asked for; "
            "is there a proxy that compresses?"
        )
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise DirectorUnreachable(f"{url} answers with more than {MOST_BYTES} bytes")
    return bytes(body)


def _peer(response: httpx.Response) -> IPAddress | None:
    stream = response.extensions.get("network_stream")
    where = None if stream is None else stream.get_extra_info("server_addr")
    if not isinstance(where, tuple):
        return None
    return ip_address(str(where[0]).partition("%")[0])
