"""A director as a process, and many clients that have the token."""

import resource
import selectors
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from lvsctl.director.descriptors import raise_descriptor_limit
from tests.api.server.limited_director import Director, running
from tests.support.director_process import TOKEN

STREAMS, POLLS = 100, 1000
REGISTRATION = {"pools": ["web"], "address": "192.0.2.11"}
POOL = {"name": "web"}
SERVICE = {"vip": "198.51.100.10", "ports": [80], "scheduler": "rr", "pool": "web"}
MOST_MEMORY_BYTES = 64 * 1024 * 1024


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process open as many files as it can."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_descriptor_limit()
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def request(path: str, **fields: str) -> bytes:
    """Write a GET with the token."""
    given = {"Host": "127.0.0.1", "Authorization": f"Bearer {TOKEN}", **fields}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def statuses(clients: Sequence[socket.socket]) -> Counter[bytes]:
    """Wait for an answer on each connection, and count their statuses."""
    found = Counter[bytes]()
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                found[key.fileobj.recv(4096)[9:12]] += 1
                selector.unregister(key.fileobj)
    return found


@pytest.mark.usefixtures("many_descriptors")
def test_long_polls_and_streams_that_are_not_read(tmp_path: Path) -> None:
    """From one address: each poll is answered when there is news, and nobody is shut out."""
    with running(tmp_path, 8192) as director, ExitStack() as stack:
        etag = registered(director)
        memory_bytes = director.peak_memory_bytes

        def connect(asked: bytes) -> socket.socket:
            client = stack.enter_context(director.connect())
            client.sendall(asked)
            return client

        for _ in range(STREAMS):
            connect(request("/v1/events?after=0"))
        path = "/v1/agents/rs1/assignment?wait=25"
        polls = [connect(request(path, **{"If-None-Match": etag})) for _ in range(POLLS)]
        assert 200 == director.get("/v1/agents")
        assert (
            200 == director.ask("PATCH", "/v1/pools/web", {"tunnel": {"type": "gre"}}).status_code
        )
        assert {b"200": POLLS} == statuses(polls)
        assert 200 == director.get("/v1/farm")
        assert director.peak_memory_bytes - memory_bytes < MOST_MEMORY_BYTES
        assert "refused or cut off" not in director.log.read_text()


def registered(director: Director) -> str:
    """Declare a service, have an agent join, and return the tag of its assignment."""
    assert 201 == director.ask("PUT", "/v1/pools/web", POOL).status_code
    assert 201 == director.ask("PUT", "/v1/services/web", SERVICE).status_code
    assert 201 == director.ask("PUT", "/v1/agents/rs1?wait=5", REGISTRATION).status_code
    return director.ask("GET", "/v1/agents/rs1/assignment?wait=5").headers["ETag"]
