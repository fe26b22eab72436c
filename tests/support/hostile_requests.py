"""Requests that nobody sends by accident, and what each must be answered.

Most would empty the farm or delete its service ``web`` if any part of them were believed. They are
bytes, as no HTTP library would send them.
"""

import gzip
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TOKEN_HERE = "@TOKEN@"  # noqa: S105 - is replaced by the token
MAX_ANSWER = 1 << 20

Fields = Mapping[str, str]

EMPTY = json.dumps({"services": [], "pools": []}).encode()
ALL = "/v1/farm?force=true"
WEB = "/v1/services/web"
JSON = {"Content-Type": "application/json"}
PATCH = {"Content-Type": "application/merge-patch+json"}
CHUNKED = {**JSON, "Transfer-Encoding": "chunked"}


@dataclass(frozen=True)
class HostileRequest:
    """A request and its answer.

    Attributes:
        name: What is hostile about it.
        status: Of the answer; 0 where nobody waits for one.
        raw: What is sent, with a placeholder for the token.
        ends: The client sends no more afterwards, though the request may be incomplete.
    """

    name: str
    status: int
    raw: bytes
    ends: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP; 0 where the connection was closed without an answer.
        content_type: Of the body.
        body: All of it.
    """

    status: int
    content_type: str
    body: bytes


def exchange(connection: socket.socket, request: HostileRequest, token: str) -> Answer:
    """Send a request and return the first answer, once the director has closed the connection."""
    received = b""
    try:
        connection.sendall(request.raw.replace(TOKEN_HERE.encode(), token.encode()))
        if request.ends:
            connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it was refused before it was all sent
    try:
        while len(received) < MAX_ANSWER and (part := connection.recv(65536)):
            received += part
    except ConnectionError:
        pass
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    status = int(first.split()[1]) if first.startswith("HTTP/1.1 ") else 0
    return Answer(status, fields.get("content-type", ""), body)


def hostile(
    name: str,
    status: int,
    line: str,
    fields: Fields | None = None,
    body: bytes = b"",
    *,
    ends: bool = False,
) -> HostileRequest:
    """Return a request that is whole but for what its name says."""
    usual = {
        "Host": "127.0.0.1",
        "Authorization": f"Bearer {TOKEN_HERE}",
        "Connection": "close",
        "Content-Length": str(len(body)),
    }
    if "Transfer-Encoding" in (fields or {}):
        del usual["Content-Length"]
    head = [line, *(f"{key}: {value}" for key, value in (usual | dict(fields or {})).items())]
    text = "\r\n".join(head).replace("\\r\\n", "\r\n")
    return HostileRequest(name, status, text.encode("latin-1") + b"\r\n\r\n" + body, ends)


def hostile_requests() -> Iterator[HostileRequest]:
    """Yield all of them."""
    yield from _methods()
    yield from _targets()
    yield from _framing()
    yield from _fields()
    yield from _strangers()
    yield from _bodies()
    yield from _meaning()


def _methods() -> Iterator[HostileRequest]:
    yield hostile("a method that is none", 400, f"FROBNICATE {ALL} HTTP/1.1", JSON, EMPTY)
    yield hostile("a method in small letters", 400, f"put {ALL} HTTP/1.1", JSON, EMPTY)
    yield hostile("a method of another path", 405, f"POST {ALL} HTTP/1.1", JSON, EMPTY)
    yield hostile("TRACE", 405, f"TRACE {WEB} HTTP/1.1")
    yield hostile("a method of WebDAV", 405, f"PROPFIND {WEB} HTTP/1.1")
    yield hostile("CONNECT", 400, "CONNECT 192.0.2.11:80 HTTP/1.1")
    yield hostile(
        "a method override", 405, f"POST {WEB} HTTP/1.1", {"X-HTTP-Method-Override": "DELETE"}
    )
    yield hostile("a method override in the query", 405, f"POST {WEB}?_method=DELETE HTTP/1.1")


def _targets() -> Iterator[HostileRequest]:
    yield hostile("a null byte in the path", 404, "DELETE /v1/services/web%00 HTTP/1.1")
    yield hostile("a raw null byte in the path", 400, "DELETE /v1/services/web\0 HTTP/1.1")
    yield hostile("dots in the path", 404, "DELETE /v1/pools/../services/web HTTP/1.1")
    yield hostile("encoded dots", 404, "DELETE /v1/pools/%2e%2e/services/web HTTP/1.1")
    yield hostile("an encoded slash", 404, "DELETE /v1/services/web%2f..%2fdns HTTP/1.1")
    yield hostile("a path encoded twice", 404, "DELETE /v1/services/%2577eb HTTP/1.1")
    yield hostile("a path that is no UTF-8", 404, "DELETE /v1/services/%ff%fe HTTP/1.1")
    yield hostile("two slashes", 404, "DELETE //v1/services/web HTTP/1.1")
    yield hostile("a slash at the end", 404, "DELETE /v1/services/web/ HTTP/1.1")
    yield hostile("a backslash", 404, "DELETE /v1\\services\\web HTTP/1.1")
    yield hostile("another host's target", 421, f"DELETE http://evil.example{WEB} HTTP/1.1")
    yield hostile("a target of no kind", 400, "DELETE v1/services/web HTTP/1.1")
    yield hostile("an asterisk", 404, "DELETE * HTTP/1.1")
    yield hostile("a target of 100 KB", 431, f"DELETE {WEB}?{'x' * 100_000} HTTP/1.1")
    yield hostile("a query parameter that is none", 422, f"DELETE {WEB}?dryrun=true HTTP/1.1")
    yield hostile("a query parameter twice", 422, f"DELETE {WEB}?wait=1&wait=0 HTTP/1.1")
    yield hostile("a wait without end", 422, f"DELETE {WEB}?wait=1e308 HTTP/1.1")
    yield hostile("a wait that is no number", 422, f"DELETE {WEB}?wait=NaN HTTP/1.1")
    yield hostile("a wait back in time", 422, f"DELETE {WEB}?wait=-1 HTTP/1.1")


def _framing() -> Iterator[HostileRequest]:
    yield HostileRequest("HTTP/0.9", 400, b"DELETE /v1/services/web\r\n\r\n")
    yield HostileRequest(
        "no HTTP at all", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"
    )
    yield HostileRequest("HTTP/2 at once", 400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield hostile("a version to come", 400, f"DELETE {WEB} HTTP/3.7")
    both = {**CHUNKED, "Content-Length": "5"}
    yield hostile("two lengths of the body", 400, f"PUT {ALL} HTTP/1.1", both, b"0\r\n\r\n")
    twice = {**JSON, "Content-Length": f"{len(EMPTY)}\\r\\nContent-Length: 1"}
    yield hostile("two Content-Lengths", 400, f"PUT {ALL} HTTP/1.1", twice, EMPTY)
    for length in ("-1", "+5", "0x5", "99999999999999999999", "5, 5", "five"):
        fields = {**JSON, "Content-Length": length}
        yield hostile(f"the Content-Length {length}", 400, f"PUT {ALL} HTTP/1.1", fields, EMPTY)
    for coding in ("gzip, chunked", "chunked, identity", "xchunked", "chunked\\r\\n chunked"):
        fields = {**JSON, "Transfer-Encoding": coding}
        yield hostile(
            f"the Transfer-Encoding {coding}", 400, f"PUT {ALL} HTTP/1.1", fields, b"0\r\n\r\n"
        )
    yield hostile("a chunk size that is none", 400, f"PUT {ALL} HTTP/1.1", CHUNKED, b"zz\r\n{}\r\n")
    huge = b"ffffffffffffffffff\r\n{}\r\n"
    yield hostile("a chunk size of 72 bits", 400, f"PUT {ALL} HTTP/1.1", CHUNKED, huge)
    cut = {**JSON, "Content-Length": "1000000"}
    yield hostile("a body that ends early", 0, f"PUT {ALL} HTTP/1.1", cut, EMPTY, ends=True)


def _fields() -> Iterator[HostileRequest]:
    delete = f"DELETE {WEB} HTTP/1.1"
    yield hostile("a field without a name", 400, delete, {"": "x"})
    yield hostile("a space before the colon", 400, delete, {"X-A ": "x"})
    yield hostile("a null byte in a field", 400, delete, {"X-A": "x\0y"})
    yield hostile("a folded field", 400, delete, {"X-A": "x\\r\\n y"})
    yield hostile("fields without end", 431, delete, {f"X-{n}": "x" for n in range(5000)})
    yield hostile("a field of 100 KB", 431, delete, {"X-A": "x" * 100_000})
    yield hostile("an If-Match that is no tag", 400, delete, {"If-Match": "1; drop"})
    yield hostile("an If-Match of another time", 412, delete, {"If-Match": '"4711"'})
    yield hostile("an If-Match that is not ASCII", 400, delete, {"If-Match": '"\xff'})
    create = {**JSON, "If-None-Match": "*"}
    yield hostile(
        "an If-None-Match of what stands",
        412,
        f"PUT {WEB} HTTP/1.1",
        create,
        b'{"vip": "198.51.100.10", "ports": [81], "pool": "web"}',
    )
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    yield hostile(
        "an upgrade to HTTP/2", 405, f"POST {WEB} HTTP/1.1", {**upgrade, "Upgrade": "h2c"}
    )
    websocket = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    yield hostile("a web socket", 404, "GET /v1/nothing HTTP/1.1", websocket)
    events = "GET /v1/events?follow=false HTTP/1.1"
    yield hostile("a Last-Event-ID that is no number", 422, events, {"Last-Event-ID": "1e9"})
    yield hostile("a Last-Event-ID of 5000 digits", 422, events, {"Last-Event-ID": "9" * 5000})


def _strangers() -> Iterator[HostileRequest]:
    delete = f"DELETE {WEB} HTTP/1.1"
    yield hostile("no token", 401, delete, {"Authorization": ""})
    yield hostile("another token", 401, delete, {"Authorization": "Bearer x"})
    yield hostile(
        "a token of another scheme", 401, delete, {"Authorization": f"Basic {TOKEN_HERE}"}
    )
    two = f"Bearer x\\r\\nAuthorization: Bearer {TOKEN_HERE}"
    yield hostile("two tokens", 400, delete, {"Authorization": two})
    yield hostile("a name that was bound anew", 421, delete, {"Host": "evil.example"})
    yield hostile("two hosts", 400, delete, {"Host": "127.0.0.1\\r\\nHost: evil.example"})
    no_host = f"{delete}\r\nAuthorization: Bearer {TOKEN_HERE}\r\nConnection: close\r\n\r\n"
    yield HostileRequest("no host", 400, no_host.encode())
    yield hostile("a page of somebody else's", 403, delete, {"Origin": "https://evil.example"})
    yield hostile("a page of nobody", 403, delete, {"Origin": "null"})
    form = {"Content-Type": "text/plain"}
    yield hostile("a form", 415, f"POST {WEB}/adopt HTTP/1.1", form, EMPTY)
    yield hostile("a form for another method", 415, f"PUT {ALL} HTTP/1.1", form, EMPTY)


def _bodies() -> Iterator[HostileRequest]:
    put = f"PUT {ALL} HTTP/1.1"
    yield hostile(
        "a packed body", 415, put, {**JSON, "Content-Encoding": "gzip"}, gzip.compress(EMPTY)
    )
    yield hostile("a packed body that is not declared", 400, put, JSON, gzip.compress(EMPTY))
    yield hostile("no body", 400, put, JSON)
    yield hostile("YAML", 400, put, JSON, b"services: []\npools: []\n")
    yield hostile("two values", 400, put, JSON, EMPTY + EMPTY)
    yield hostile("NaN", 400, put, JSON, b'{"services": [], "pools": [], "settings": NaN}')
    yield hostile(
        "half a character", 400, put, JSON, b'{"services": [], "pools": [], "\\ud800": 1}'
    )
    yield hostile("UTF-16", 400, put, JSON, EMPTY.decode().encode("utf-16"))
    yield hostile("a byte order mark", 400, put, JSON, b"\xef\xbb\xbf" + EMPTY)
    yield hostile("a null byte", 400, put, JSON, EMPTY + b"\0")
    yield hostile("a key twice", 400, put, JSON, b'{"services": [], "pools": [], "pools": []}')
    yield hostile("100,000 levels", 400, put, JSON, b"[" * 100_000 + b"]" * 100_000)
    yield hostile("a number of 5000 digits", 400, put, JSON, b'{"a": %s}' % (b"9" * 5000))
    yield hostile(
        "keys without end", 400, put, JSON, json.dumps({str(n): n for n in range(50_000)}).encode()
    )
    yield hostile(
        "a million mistakes",
        422,
        put,
        JSON,
        b'{"pools": [], "services": [%s1]}' % (b"1," * 1_000_000),
    )
    of_web = f"PUT {WEB} HTTP/1.1"  # only a whole farm may be larger
    yield hostile("five megabytes", 413, of_web, JSON, b"{}" + b" " * 5_000_000)
    endless = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    yield hostile("five megabytes in chunks", 413, of_web, CHUNKED, endless * 5 + b"0\r\n\r\n")


def _meaning() -> Iterator[HostileRequest]:
    put, patch = f"PUT {WEB} HTTP/1.1", f"PATCH {WEB} HTTP/1.1"
    yield hostile("a list for an object", 422, put, JSON, b"[]")
    yield hostile("another name than the address has", 422, put, JSON, b'{"name": "dns"}')
    yield hostile("a patch that is no object", 422, patch, PATCH, b'"x"')
    yield hostile("a patch that takes the VIP away", 422, patch, PATCH, b'{"vip": null}')
    yield hostile("the VIP 0.0.0.0", 422, patch, PATCH, b'{"vip": "0.0.0.0"}')
    yield hostile("a VIP with a device", 422, patch, PATCH, b'{"vip": "fe80::1%eth0"}')
    yield hostile("a port of a million", 422, patch, PATCH, b'{"ports": [1000000]}')
    yield hostile(
        "an infinite weight",
        422,
        "PATCH /v1/pools/web/real-servers/rs1 HTTP/1.1",
        PATCH,
        b'{"weight": 1e999}',
    )
    yield hostile("a field of Python", 422, patch, PATCH, b'{"__class__": "os.system"}')
    yield hostile(
        "an agent's name that is a path", 404, "PUT /v1/agents/..%2f..%2fetc HTTP/1.1", JSON, b"{}"
    )
    yield hostile(
        "an agent at the director",
        422,
        "PUT /v1/agents/x HTTP/1.1",
        JSON,
        b'{"address": "127.0.0.1", "pools": ["web"]}',
    )
