"""Protects the director from other web pages in an operator's browser.

A page can send requests to any address that the browser reaches, in three ways that are blocked
here: from its own origin (named in ``Origin``); as a form, whose content type needs no permission
of the server (only JSON is accepted); and under a host name of its own that resolves to the
director's address (DNS rebinding; the name is in ``Host``).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from email.message import Message
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import (
    BAD_REQUEST,
    FOREIGN_HOST,
    FOREIGN_ORIGIN,
    WRONG_TYPE,
    RequestRefused,
    problem_response,
)
from lvsctl.errors import Problem

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
BODY_TYPES: Mapping[str, Sequence[str]] = {"PATCH": (MERGE_PATCH, JSON)}
"""Content types by method; others accept JSON only."""
ONCE = ("host", "origin", "content-type", "content-encoding", "authorization")
"""Headers that must not be repeated, as programs differ in which one they use."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


class SameOrigin:
    """Refuses requests that a browser may have sent for a page of another origin.

    Args:
        app: The app to protect.
        host_names: Host names that clients may use, besides the director's addresses.
    """

    def __init__(self, app: ASGIApp, host_names: Collection[str]) -> None:
        self._app = app
        names = dict.fromkeys(map(_canonical, ("localhost", *host_names)))
        self._host_names = [name for name in names if name and not _is_address(name)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 4xx, or pass the request on."""
        if scope["type"] == "http":
            try:
                self._check(scope, Headers(scope=scope))
            except RequestRefused as refused:
                await problem_response(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        for name in ONCE:
            if len(headers.getlist(name)) > 1:
                raise RequestRefused(BAD_REQUEST, f"the header {name} is there twice; send one")
        host = headers.get("host")
        if host is not None:
            self._check_host(host)
        elif scope["http_version"] != "1.0":
            raise RequestRefused(BAD_REQUEST, "the header Host is missing (RFC 9112, 3.2)")
        _check_origin(headers.get("origin"), host)
        if scope["method"] not in _READING:
            _check_body(scope["method"], headers)

    def _check_host(self, host: str) -> None:
        found = _HOST.fullmatch(host)
        if not found or not self._is_own(found["name"]):
            allowed = f"an IP address, {', '.join(self._host_names)}"
            raise RequestRefused(
                FOREIGN_HOST,
                f"{host[:100]!r} is not a host name of this director, only {allowed}; add a "
                "name with lvsctl director run --host-name NAME",
                [Problem("", "the header Host has another host name", allowed)],
            )

    def _is_own(self, name: str) -> bool:
        # DNS rebinding needs a name, so addresses are safe.
        return _is_address(name.strip("[]")) or _canonical(name) in self._host_names


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _canonical(name: str) -> str:
    return name.lower().removesuffix(".")


def _check_origin(origin: str | None, host: str | None) -> None:
    """Refuse another origin; a proxy in front of the director may have terminated TLS."""
    if origin is None or origin in (f"http://{host}", f"https://{host}"):
        return
    allowed = f"http://{host}, or none" if host else "none"
    raise RequestRefused(
        FOREIGN_ORIGIN,
        f"pages of {origin[:100]!r} may not use this director (allowed Origin: {allowed})",
        [Problem("", "the header Origin has another origin", allowed)],
    )


def _check_body(method: str, headers: Headers) -> None:
    """Refuse content types that a form can send, and compressed JSON."""
    sent = headers.get("content-type")
    if sent is None and not _has_body(headers):
        return
    types = BODY_TYPES.get(method, (JSON,))
    if _media_type(sent) not in types:
        accept = {"Accept": ", ".join(types)}
        raise _wrong_type("content-type", sent or "missing", " or ".join(types), accept)
    encoding = headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise _wrong_type("content-encoding", encoding, "none")


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


def _media_type(content_type: str | None) -> str:
    if not content_type:
        return ""
    message = Message()
    message["content-type"] = content_type
    return message.get_content_type()


def _wrong_type(
    header: str, sent: str, allowed: str, answer_headers: Mapping[str, str] | None = None
) -> RequestRefused:
    detail = f"the {header} is {sent[:100]}"
    problem = Problem("", detail, allowed)
    return RequestRefused(WRONG_TYPE, f"{detail}; send {allowed}", [problem], answer_headers)
