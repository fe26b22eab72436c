"""Servers on rs1 that answer every kind of probe well, and badly in each way."""

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import Callable, Mapping
from ipaddress import ip_address

import trustme

from tests.kernel.marked import VIP
from tests.unit.health.name_servers import name_server, refused, truncated
from tests.unit.health.servers import (
    Answer,
    answering,
    drip,
    drip_handshake,
    flood_handshake,
    full,
    hang_up,
    never,
    reset,
    saying,
    serving,
)

HOST = "web.example"
NAME = f"{HOST}."
A = ip_address("192.0.2.1")
FLOOD = b"x" * 4_000_000


async def banner(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak first, and something else than TLS."""
    writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    await writer.drain()
    await asyncio.Event().wait()


ANSWERS: Mapping[str, Answer] = {
    "good": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine\n"),
    "busy": saying(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
    "silent": never,
    "resetting": reset,
    "closing": hang_up,
    "cut": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfine"),
    "dripping": drip,
    "garbage": saying(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "large": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n", FLOOD),
    "a large header": saying(b"HTTP/1.1 200 OK\r\nX: ", FLOOD),
}
"""To HTTP, in the clear and within TLS."""

HANDSHAKES: Mapping[str, Answer] = {
    "dripping a handshake": drip_handshake,
    "flooding a handshake": flood_handshake,
    "a banner": banner,
}
CERTIFICATES = ("another name", "another authority", "expired")
DATAGRAMS: Mapping[str, Callable[[bytes], list[bytes]]] = {
    "echo": lambda asked: [asked],
    "a large datagram": lambda _: [bytes(60000)],
    "no datagram": lambda _: [],
    "garbled datagrams": lambda asked: [asked[:2] + b"\xff"],
    "a name server": name_server((NAME, "A", str(A))),
    "a refusing name server": name_server(change=refused),
    "a truncating name server": name_server(change=truncated),
    "a late name server": lambda asked: [bytes([asked[0] ^ 1]) + asked[1:]],
}
NOBODY_THERE, FULL, READY = "nobody", "full", "ready"
PORTS: Mapping[str, int] = {
    name: port
    for port, name in enumerate(
        [
            *(f"{scheme} {name}" for scheme in ("http", "https") for name in ANSWERS),
            *HANDSHAKES, *CERTIFICATES, *DATAGRAMS, NOBODY_THERE, FULL, READY,
        ],
        8001,
    )
}  # fmt: skip


def tls_contexts(ours: trustme.CA) -> dict[str, ssl.SSLContext]:
    """Return what servers speak, with a good certificate of an authority and with bad ones."""
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificates = {
        "good": ours.issue_cert(HOST),
        "another name": ours.issue_cert("other.example"),
        "another authority": trustme.CA().issue_cert(HOST),
        "expired": ours.issue_cert(HOST, not_after=past),
    }
    contexts = {name: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for name in certificates}
    for name, certificate in certificates.items():
        certificate.configure_cert(contexts[name])
    return contexts


async def serve(contexts: Mapping[str, ssl.SSLContext]) -> None:
    """Be all these servers, until killed."""
    every: list[tuple[str, Answer, ssl.SSLContext | None]] = [
        *((f"http {name}", answer, None) for name, answer in ANSWERS.items()),
        *((f"https {name}", answer, contexts["good"]) for name, answer in ANSWERS.items()),
        *((name, answer, None) for name, answer in HANDSHAKES.items()),
        *((name, ANSWERS["good"], contexts[name]) for name in CERTIFICATES),
    ]
    async with contextlib.AsyncExitStack() as stack:
        for name, answer, context in every:
            await stack.enter_async_context(serving(answer, context, VIP, PORTS[name]))
        for name, answers in DATAGRAMS.items():
            await stack.enter_async_context(answering(answers, VIP, PORTS[name]))
        stack.enter_context(full(VIP, PORTS[FULL]))
        await stack.enter_async_context(serving(never, None, VIP, PORTS[READY]))
        await asyncio.Event().wait()
