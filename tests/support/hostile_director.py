"""What a hostile director may answer to an agent that asks for its assignment, byte by byte.

A script is what is sent: bytes, and pauses in seconds. When it ends the connection is closed.
"""

import gzip
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Script = Iterable[bytes | float]
Document = dict[str, Any]


@dataclass(frozen=True)
class Farm:
    """What a hostile director knows of the agent's farm.

    Attributes:
        farm_id: The farm's.
        agent: The agent's name.
        vips: What it serves; always assigned along.
        rip: The real server's address.
        network: The prefix of its network, such as ``192.0.2``; a /24.
        gateway: Next hop of its default route.
        director: The address that answers.
        client: Of a client behind the default route.
        epoch: Of what the agent follows.
        revision: Likewise.
    """

    farm_id: str
    agent: str
    vips: tuple[str, ...]
    rip: str
    network: str
    gateway: str
    director: str
    client: str
    epoch: int = 0
    revision: int = 0

    def assignment(self, **changes: object) -> Document:
        """Return what a good director would say, with changes."""
        document = {
            "farm_id": self.farm_id,
            "agent": self.agent,
            "vips": list(self.vips),
            "tunnels": [{"type": "ipip", "port": 0, "checksum": False}],
            "mtu": None,
            "tunnel_ends": [],
            "epoch": self.epoch,
            "revision": self.revision,
        }
        return document | changes

    def end(self, **changes: object) -> Document:
        """Return a point-to-point tunnel that could be made, with changes."""
        document = {
            "tunnel": "evil",
            "link": "evil",
            "mode": "gre",
            "local": self.rip,
            "remote": f"{self.network}.12",
            "addresses": ["192.168.77.1/24"],
            "peers": ["192.168.77.2"],
        }
        return document | changes


@dataclass(frozen=True)
class Case:
    """One hostile answer.

    Attributes:
        script: What is sent.
        told: Part of what the agent must say of it, in a finding or as its director's problem;
            empty where it is harmless.
        slow: It takes the agent longer than ten seconds to give up.
    """

    script: Callable[[Farm], Script]
    told: str = ""
    slow: bool = False


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole response of HTTP/1.1."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def json_response(document: object, *headers: str) -> bytes:
    """Return a response with a JSON document."""
    return response(json.dumps(document).encode(), "200 OK", *(headers or ('ETag: "1"',)))


# Statuses and heads


def _status(status: str, *headers: str) -> Callable[[Farm], Script]:
    return lambda farm: [response(json.dumps(farm.assignment(vips=[])).encode(), status, *headers)]


def _raw(*parts: bytes | float) -> Callable[[Farm], Script]:
    return lambda _: parts


def _head(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1")


def _endless(head: bytes, piece: bytes, pause_s: float = 0.01) -> Callable[[Farm], Script]:
    def script(_: Farm) -> Iterator[bytes | float]:
        yield head
        for _ in itertools.count():
            yield piece
            yield pause_s

    return script


def _etag(value: str) -> Callable[[Farm], Script]:
    return lambda farm: [json_response(farm.assignment(), f"ETag: {value}")]


HEADS: Mapping[str, Case] = {
    "nothing: the connection is closed": Case(_raw(), "does not answer"),
    "reset in the middle of the head": Case(_raw(b"HTTP/1.1 200 OK\r\nConte"), "does not answer"),
    "garbage": Case(_raw(bytes(range(256)) * 10), "does not answer"),
    "a TLS alert": Case(_raw(b"\x15\x03\x01\x00\x02\x02\x46"), "does not answer"),
    "another protocol": Case(_raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "does not answer"),
    "a status that is no number": Case(_raw(b"HTTP/1.1 OK\r\n\r\n"), "does not answer"),
    "status 999": Case(_status("999 Whatever"), "999"),
    "204 without a body": Case(_raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "204"),
    "206, a part": Case(_status("206 Partial Content"), "206"),
    "301 to another host": Case(
        _status("301 Moved", "Location: http://127.0.0.1:1/v1/agents/x/assignment"), "301"
    ),
    "302 to itself": Case(_status("302 Found", "Location: /v1/agents/rs1/assignment"), "302"),
    "307 without a place": Case(_status("307 Temporary Redirect"), "307"),
    "304 that nobody asked for": Case(_raw(b"HTTP/1.1 304 Not Modified\r\n\r\n")),
    "400 with a million problems": Case(
        lambda _: [
            response(json.dumps({"errors": [{"detail": "x"}] * 30_000}).encode(), "400 Bad Request")
        ],
        "x",
    ),
    "401": Case(_status("401 Unauthorized"), "--token-file"),
    "404": Case(_status("404 Not Found"), "joining again"),
    "409": Case(_status("409 Conflict"), "Conflict"),
    "500 with a page": Case(
        lambda _: [response(b"<html>" * 1000, "500 \x1b[31mOops\x07")], "status 500"
    ),
    "503 with a long detail": Case(
        lambda _: [response(json.dumps({"detail": "d\n" * 100_000}).encode(), "503 Unavailable")],
        "status 503",
    ),
    "101, another protocol from here on": Case(
        _raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + b"\0" * 5000),
        "does not answer",
    ),
    "informational answers without end": Case(
        _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 1.0), "in time", slow=True
    ),
    "headers without end": Case(_endless(b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n" * 4096), "does not"),
    "one header without end": Case(
        _endless(b"HTTP/1.1 200 OK\r\nX-Y: ", b"z" * 65536), "does not answer"
    ),
    "an ETag that is not ASCII": Case(_etag('"\xe4\xf6\xfc\xff"')),
    "an ETag of 60 kB": Case(_etag('"' + "e" * 60_000 + '"')),
    "an ETag without quotes": Case(_etag("x\ty")),
    "no ETag": Case(lambda farm: [response(json.dumps(farm.assignment()).encode())]),
    "a length below nothing": Case(_raw(_head("Content-Length: -1") + b"{}"), "does not answer"),
    "a length of 10^30": Case(_raw(_head("Content-Length: 1" + "0" * 30) + b"{}"), "does not"),
    "two lengths": Case(
        _raw(_head("Content-Length: 2", "Content-Length: 3") + b"{}"), "does not answer"
    ),
    "silence": Case(_raw(100_000.0), "in time", slow=True),
    "a head that comes a byte at a time": Case(
        lambda _: (part for each in b"HTTP/1.1 200 OK\r\n" for part in (bytes([each]), 9.0)),
        "in time",
        slow=True,
    ),
}

# Bodies as bytes

_CHUNKED = _head("Transfer-Encoding: chunked", 'ETag: "1"')


def _encoded(encoding: str, body: bytes) -> Callable[[Farm], Script]:
    return _raw(response(body, "200 OK", f"Content-Encoding: {encoding}"))


def _bomb() -> bytes:
    """Return 300 kB that become 300 MB."""
    return gzip.compress(b" " * 1_000_000) * 300


def _body(body: bytes) -> Callable[[Farm], Script]:
    return _raw(response(body, "200 OK", 'ETag: "1"'))


BODIES: Mapping[str, Case] = {
    "a gzip bomb": Case(_encoded("gzip", _bomb()), "Content-Encoding gzip"),
    "gzip twice": Case(_encoded("gzip, gzip", gzip.compress(b"{}")), "Content-Encoding"),
    "brotli": Case(_encoded("br", b"\x0b\x00\x80"), "Content-Encoding br"),
    "no end and no length": Case(_endless(_head(), b" " * 65536), "more than"),
    "chunks without end": Case(_endless(_CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"), "more"),
    "a chunk extension without end": Case(_endless(_CHUNKED + b"1;", b"x" * 65536), "does not"),
    "trailers without end": Case(
        _endless(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Y: z\r\n" * 4096), "does not answer"
    ),
    "a chunk that is no number": Case(_raw(_CHUNKED + b"zz\r\n{}"), "does not answer"),
    "chunks that break off": Case(_raw(_CHUNKED + b"100\r\n{}"), "does not answer"),
    "a body that breaks off": Case(
        lambda farm: [json_response(farm.assignment(vips=[]))[:-20]], "does not answer"
    ),
    "a body that comes a byte at a time": Case(
        lambda _: itertools.chain(
            [_head("Content-Length: 4000000")],
            (part for _ in range(4_000_000) for part in (b" ", 3.0)),
        ),
        "in time",
        slow=True,
    ),
    "nothing": Case(_body(b""), "JSON object"),
    "a page": Case(_body(b"<html>hello</html>"), "JSON object"),
    "null": Case(_body(b"null"), "JSON object"),
    "a list": Case(_body(b"[]"), "JSON object"),
    "not UTF-8": Case(_body(b'{"farm_id": "\xff\xfe"}'), "UTF-8"),
    "UTF-16": Case(lambda farm: _body(json.dumps(farm.assignment()).encode("utf-16"))(farm), "UTF"),
    "lists in lists": Case(_body(b"[" * 100_000), "nested deeper"),
    "objects in objects": Case(_body(b'{"a":' * 90_000 + b"1"), "nested deeper"),
    "lists in lists in a field": Case(
        lambda farm: _body(
            json.dumps(farm.assignment(vips=[])).replace("[]", "[" * 900 + "]" * 900, 1).encode()
        )(farm),
        "nested deeper",
    ),
    "a million values": Case(_body(b'{"vips": [' + b"1," * 1_000_000 + b"1]}"), "values"),
    "NaN": Case(_body(b'{"mtu": NaN}'), "NaN"),
    "a number with a thousand digits": Case(_body(b'{"mtu": ' + b"9" * 1000 + b"}"), "digits"),
    "a key twice": Case(
        lambda farm: [
            response(json.dumps(farm.assignment()).encode()[:-1] + b', "vips": []}', "200 OK")
        ],
        "'vips' twice",
    ),
}

# Documents


def _assigns(**changes: object) -> Callable[[Farm], Script]:
    return lambda farm: [json_response(farm.assignment(**changes))]


def _without(field_name: str) -> Callable[[Farm], Script]:
    def script(farm: Farm) -> Script:
        document = farm.assignment()
        del document[field_name]
        return [json_response(document)]

    return script


DOCUMENTS: Mapping[str, Case] = {
    "no farm": Case(_without("farm_id"), "/farm_id"),
    "no VIPs": Case(_without("vips"), "/vips"),
    "a farm that is a number": Case(_assigns(farm_id=7), "/farm_id"),
    "a farm without a name": Case(_assigns(farm_id="", vips=[]), "/farm_id"),
    "a farm with a name of 100 kB": Case(_assigns(farm_id="f" * 100_000, vips=[]), "/farm_id"),
    "a farm with a terminal's codes": Case(_assigns(farm_id="\x1b[2J", vips=[]), "/farm_id"),
    "another agent": Case(_assigns(agent="somebody", vips=[]), "/agent"),
    "another farm without VIPs": Case(_assigns(farm_id="another", vips=[]), "keeps"),
    "an older state without VIPs": Case(_assigns(epoch=2, revision=10**6, vips=[])),
    "an older revision without VIPs": Case(_assigns(revision=1, vips=[])),
    "VIPs that are a text": Case(_assigns(vips="198.51.100.10"), "/vips"),
    "VIPs that are numbers": Case(_assigns(vips=[3325256714, True, None, 1.5]), "/vips/0"),
    "VIPs that are objects": Case(_assigns(vips=[{"vip": "198.51.100.10"}]), "/vips/0"),
    "VIPs that are networks": Case(_assigns(vips=["0.0.0.0/0"]), "/vips/0"),
    "forty thousand wrong VIPs": Case(_assigns(vips=["x"] * 40_000), "/vips/0"),
    "a path of half a byte": Case(_assigns(mtu=0.5), "/mtu"),
    "tunnels that are a list of lists": Case(_assigns(tunnels=[[[]]]), "/tunnels/0"),
    "an unknown mode": Case(
        lambda farm: [json_response(farm.assignment(tunnel_ends=[farm.end(mode="vxlan")]))],
        "/tunnel_ends/0/mode",
    ),
}

# VIPs that nobody may have, beside the good ones


def _vips(*more: str) -> Callable[[Farm], Script]:
    def script(farm: Farm) -> Script:
        names = {name: getattr(farm, name) for name in ("rip", "network", "gateway", "director")}
        vips = [*farm.vips, *(each.format_map(names) for each in more)]
        return [json_response(farm.assignment(vips=vips))]

    return script


VIPS: Mapping[str, Case] = {
    "the unspecified address": Case(_vips("0.0.0.0", "::"), "unspecified"),  # noqa: S104
    "this network": Case(_vips("0.1.2.3"), "this network"),
    "loopback": Case(_vips("127.0.0.1", "127.9.9.9", "::1"), "loopback"),
    "multicast": Case(_vips("224.0.0.1", "239.1.2.3", "ff02::1"), "multicast"),
    "broadcast": Case(_vips("255.255.255.255"), "255.255.255.255"),
    "reserved": Case(_vips("240.0.0.1"), "reserved"),
    "link-local": Case(_vips("169.254.169.254", "fe80::1"), "link-local"),
    "IPv4 written as IPv6": Case(_vips("::ffff:198.51.100.99"), "written as IPv6"),
    "a zone": Case(_vips("fe80::1%eth0"), "/vips"),
    "a zone on a global address": Case(_vips("2001:db8::1%1"), "/vips"),
    "the real server itself": Case(_vips("{rip}"), "send tunnelled packets"),
    "the gateway": Case(_vips("{gateway}"), "the gateway"),
    "the director": Case(_vips("{director}"), "a director"),
    "the network's broadcast": Case(_vips("{network}.255"), "every host"),
    "the network itself": Case(_vips("{network}.0"), "every host"),
    "three thousand loopback addresses": Case(
        _vips(*(f"127.0.{high}.{low}" for high in range(12) for low in range(250))), "more parts"
    ),
}

# Tunnels


def _tunnels(*more: Document) -> Callable[[Farm], Script]:
    return lambda farm: [json_response(farm.assignment(tunnels=[{"type": "ipip"}, *more]))]


def _end(**changes: object) -> Callable[[Farm], Script]:
    def script(farm: Farm) -> Script:
        names = {"network": farm.network, "client": farm.client, "rip": farm.rip}
        shown = json.dumps(farm.assignment(tunnel_ends=[farm.end(**changes)]))
        for name, value in names.items():
            shown = shown.replace(f"<{name}>", value)
        return [response(shown.encode(), "200 OK", 'ETag: "1"')]

    return script


def _ends(count: int) -> Callable[[Farm], Script]:
    return lambda farm: [
        json_response(
            farm.assignment(
                tunnel_ends=[farm.end(tunnel=f"t{n}", link=f"t{n}", key=-1) for n in range(count)]
            )
        )
    ]


TUNNELS: Mapping[str, Case] = {
    "an unknown type": Case(_tunnels({"type": "vxlan", "port": 4789}), "vxlan"),
    "a type of 50 kB": Case(_tunnels({"type": "t" * 50_000}), "there is no such tunnel"),
    "gue at port 70000": Case(_tunnels({"type": "gue", "port": 70000}), "70000"),
    "gue at a port below nothing": Case(_tunnels({"type": "gue", "port": -1}), "-1"),
    "gue at port 10^18": Case(_tunnels({"type": "gue", "port": 10**18}), "there is no such tunnel"),
    "ipip at a port": Case(_tunnels({"type": "ipip", "port": 5}), "there is no such tunnel"),
    "a thousand types": Case(_tunnels(*({"type": f"t{n}"} for n in range(1000))), "types of"),
    "a path MTU of one byte": Case(_assigns(mtu=1), "path MTU"),
    "a path MTU below nothing": Case(_assigns(mtu=-(10**15)), "path MTU"),
    "a path MTU of 10^15": Case(_assigns(mtu=10**15), "path MTU"),
    "an inner network that is everything": Case(_end(addresses=["198.18.0.1/0"]), "evil"),
    "an inner network that is half of everything": Case(_end(addresses=["198.18.0.1/1"]), "evil"),
    "an inner network of the clients": Case(_end(addresses=["<client>/25"]), "clients' packets"),
    "an inner network that is wide": Case(_end(addresses=["10.0.0.1/8"]), "too wide"),
    "an inner network of this link": Case(_end(addresses=["<network>.129/25"]), "evil"),
    "the director inside": Case(
        lambda farm: [
            json_response(
                farm.assignment(tunnel_ends=[farm.end(addresses=[f"{farm.director}/30"])])
            )
        ],
        "evil",
    ),
    "the other end inside": Case(_end(addresses=["192.0.2.1/24"]), "evil"),
    "IPv6 that is everything": Case(_end(addresses=["2001:db8:77::1/0"]), "evil"),
    "IPv6 with a zone": Case(_end(addresses=["fe80::1%eth0/64"]), "/tunnel_ends"),
    "an inner loopback address": Case(_end(addresses=["127.0.0.1/8"]), "loopback"),
    "a foreign underlay": Case(_end(local="198.51.100.250"), "is not an address of this host"),
    "this host as the other end": Case(_end(remote="<rip>"), "evil"),
    "a multicast underlay": Case(_end(remote="224.0.0.5"), "multicast"),
    "lo as its device": Case(_end(link="lo"), "evil"),
    "eth0 as its device": Case(_end(link="eth0"), "evil"),
    "tunl0 as its device": Case(_end(link="tunl0"), "evil"),
    "a path as its device": Case(_end(link="../../etc"), "evil"),
    "a device below that is no name": Case(_end(device="a b\n"), "evil"),
    "a key of 10^15": Case(_end(key=10**15), "evil"),
    "a time to live of 10^6": Case(_end(ttl=10**6), "evil"),
    "an MTU of 10^9": Case(_end(mtu=10**9), "evil"),
    "a name with a line break": Case(_end(tunnel="a\nb"), "printable"),
    "a name of 50 kB": Case(_end(tunnel="n" * 50_000), "printable"),
    "a thousand addresses": Case(_end(addresses=["192.168.77.1/24"] * 1000), "addresses"),
    "no address": Case(_end(addresses=[]), "evil"),
    "everybody as the other end inside": Case(_end(peers=["255.255.255.255"]), "reserved"),
    "a thousand ends": Case(_ends(1000), "point-to-point tunnels"),
}

CASES: Mapping[str, Case] = {
    f"{room}: {name}": case
    for room, cases in {
        "head": HEADS,
        "body": BODIES,
        "document": DOCUMENTS,
        "VIPs": VIPS,
        "tunnels": TUNNELS,
    }.items()
    for name, case in cases.items()
}


@dataclass
class Hostile:
    """A director that answers everything well but the question for the assignment.

    Attributes:
        farm: What it knows.
        case: What it answers to that question; None for a good answer.
        vips: What a good answer assigns.
        tag: Tells a good answer from earlier ones.
        asked: How often it was asked for the assignment in the present case.
        sent: Bytes that it has sent in the present case.
        reports: What the agent reported.
    """

    farm: Farm
    case: Case | None = None
    vips: tuple[str, ...] = ()
    tag: str = ""
    asked: int = 0
    sent: int = 0
    reports: list[Document] = field(default_factory=list)

    def turn(self, case: Case | None) -> None:
        """Answer otherwise from now on."""
        self.case, self.asked, self.sent = case, 0, 0

    def script(self, request: bytes) -> Script:
        """Return the answer to a request."""
        head, _, body = request.partition(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        if method == "GET":
            self.asked += 1
            if self.case is not None:
                return self.case.script(self.farm)
            good = self.farm.assignment(vips=list(self.vips or self.farm.vips))
            etag = f'"{"-".join([self.tag, *good["vips"]])}"'
            if f"If-None-Match: {etag}".lower().encode() in head.lower():
                return self._nothing_new()
            return [json_response(good, f"ETag: {etag}")]
        if path.endswith("/report"):
            self.reports.append(json.loads(body))
        return [json_response({"applied": True, "reason": ""})]

    def _nothing_new(self) -> Script:
        """Wait as asked, but no longer than this director is good."""
        for _ in range(50):
            if self.case is None:
                yield 0.5
        yield b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
