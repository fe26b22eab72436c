"""A director in memory with its app, and a client of it; and the farm that tests start from."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any, TypedDict, Unpack

import httpx
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI

from lvsctl.director.access.credentials import Credentials
from lvsctl.director.access.principal import Principal
from lvsctl.director.daemon import DirectorDaemon
from lvsctl.director.main import IPVS_SYSCTLS, Kernel, open_daemon
from lvsctl.director.vips.neighbours import Neighbours, NoNeighbours
from lvsctl.farm.access import Role
from lvsctl.host.memory import MemoryHost
from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.memory import MemoryIpvs, MemoryKernel
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DestinationConfig,
    DestinationKey,
    IpvsTable,
    Operation,
    ServiceCounters,
    ServiceKey,
    VirtualServiceConfig,
)
from lvsctl.net import IpProtocol
from lvsctl.results import Done, Result
from lvsctl.store.memory import MemoryLocalState
from tests.support.clocks import Clock
from tests.support.reasons import because
from tests.support.stores import BreakableStore
from tests.unit.director.checked import Servers

TOKEN = "0123456789abcdef"  # noqa: S105 - of a director in memory
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
CLIENT = "192.0.2.99"
START = datetime(2026, 1, 1, tzinfo=UTC)

ENDS: list[dict[str, Any]] = [
    {"agent": "c", "underlay": "192.0.2.31", "device": "eth0", "addresses": ["192.168.2.1/24"]},
    {"agent": "d", "underlay": "192.0.2.32", "link": "d2c", "addresses": ["192.168.2.2/24"]},
]
TUNNEL: dict[str, Any] = {"name": "c2d", "mode": "ipip", "ends": ENDS}

EXAMPLE: Mapping[str, Any] = {
    "services": [
        {
            "name": "web",
            "vip": "198.51.100.10",
            "ports": [80, 443],
            "scheduler": "mh",
            "pool": "web",
        },
        {
            "name": "dns",
            "vip": "198.51.100.53",
            "protocol": "udp",
            "ports": [53],
            "scheduler": "rr",
            "flags": ["ops"],
            "pool": "dns",
        },
        {
            "name": "marked",
            "vip": "198.51.100.20",
            "fwmark": 7,
            "persistence": {"timeout": "5m", "netmask": 24},
            "pool": "web",
        },
    ],
    "pools": [
        {
            "name": "web",
            "real_servers": [
                {"name": "rs1", "address": "192.0.2.11"},
                {"name": "rs2", "address": "192.0.2.12", "weight": 50},
            ],
        },
        {"name": "dns", "real_servers": [{"name": "ns1", "address": "192.0.2.21"}]},
        {"name": "spare"},
    ],
    "directors": [{"name": "lb1", "addresses": ["192.0.2.10"]}],
}


class Sent(TypedDict, total=False):
    """What a request carries, as httpx takes it."""

    json: object
    content: bytes | AsyncIterator[bytes]
    headers: Mapping[str, str] | Mapping[bytes, bytes] | Sequence[tuple[str, str]]


class BreakableIpvs(MemoryIpvs):
    """A table in memory that cannot be read while it is broken."""

    broken: Exception | None = None

    def __init__(self, kernel: MemoryKernel) -> None:
        super().__init__(kernel)
        self.connections: dict[str, int] = {}
        self.entries: list[Connection] = []
        self.takes_writes = threading.Event()
        self.takes_writes.set()

    def apply(self, operations: Sequence[Operation]) -> Sequence[Result]:
        if operations:
            self.takes_writes.wait()
        return super().apply(operations)

    def snapshot(self, keys: Collection[ServiceKey] | None = None) -> IpvsTable:
        if self.broken:
            raise self.broken
        return super().snapshot(keys)

    def connection_entries(self) -> Iterator[Connection]:
        """Yield the connections that a test has set."""
        return iter(self.entries)

    def counters(
        self, keys: Collection[ServiceKey] | None = None
    ) -> Mapping[ServiceKey, ServiceCounters]:
        """Return the active connections that a test has set for an address, on port 80."""
        return {
            key: replace(
                service,
                destinations={
                    at: replace(counters, active_connections=self.connections.get(str(at), 0))
                    for at, counters in service.destinations.items()
                },
            )
            for key, service in super().counters(keys).items()
        }


class AnyName(Credentials):
    """Accepts ``role/name`` as the token of somebody who has that role and that name."""

    def __init__(self) -> None:
        super().__init__(dict, lambda: START)

    def of_token(self, text: str, source: str) -> Principal | None:
        role, _, name = text.partition("/")
        return Principal(Role(role), name, source) if role in [*Role] else None


@dataclass
class Bench:
    """A director in memory, and a client that speaks to it through the app."""

    portal: BlockingPortal
    daemon: DirectorDaemon
    kernel: MemoryKernel
    ipvs: BreakableIpvs
    store: BreakableStore
    clock: Clock
    servers: Servers
    disk: list[str]
    app: FastAPI = field(init=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Let the reconciler run; its first cycle has ended when this begins."""
        self.portal.call(self.daemon.loop.run_cycle)
        running = self.portal.start_task_soon(self.daemon.run)
        try:
            yield
        finally:
            running.cancel()

    def check_itself(self) -> None:
        """Let the director look at its disk now."""
        self.portal.call(self.daemon.self_check.check)

    def put_example(self) -> None:
        """Store the example farm and wait until it is in the kernel."""
        answer = self.put("/v1/farm?wait=10", json=EXAMPLE)
        assert answer.json()["applied"], answer.text

    @property
    def revision(self) -> int:
        """Of the state."""
        return self.daemon.state.revision

    def key(self, text: str) -> ServiceKey:
        """Return the key that stands in the kernel under this text."""
        return next(key for key in self.kernel.table() if str(key) == text)

    def check_health(self, pool: str, *, checked: bool = True) -> None:
        """Give a pool a health check or take it away, and wait until the kernel is ready."""
        checks = [{"type": "tcp", "port": 80}] if checked else []
        answer = self.patch(f"/v1/pools/{pool}?wait=10", json={"health_checks": checks})
        assert answer.json()["applied"], answer.text

    def occupy(self, vip: str, *destinations: str) -> ServiceKey:
        """Create a virtual service on port 80 as somebody else would."""
        key = AddressKey(IpProtocol.TCP, IPv4Address(vip), 80)
        operations: list[Operation] = [AddService(key, VirtualServiceConfig("rr"))]
        operations += [
            AddDestination(key, DestinationKey(IPv4Address(address), 80), DestinationConfig(1))
            for address in destinations
        ]
        for operation in operations:
            assert Done() == self.kernel.carry_out(operation)
        return key

    def request(self, method: str, address: str, **sent: Unpack[Sent]) -> httpx.Response:
        """Send one request and return its answer."""
        return self.portal.call(self.send, Request(method, address, sent))

    def at_once(self, *requests: "Request") -> Sequence[httpx.Response]:
        """Send requests at the same time and return their answers, in their order."""

        async def together() -> Sequence[httpx.Response]:
            return await asyncio.gather(*map(self.send, requests))

        return self.portal.call(together)

    async def send(
        self, request: "Request", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send one request from within the event loop and return its answer."""
        transport = httpx.ASGITransport(
            self.app, raise_app_exceptions=False, client=(CLIENT, 40000)
        )
        client = httpx.AsyncClient(
            transport=transport,
            base_url="http://lb1",
            headers=HEADERS if headers is None else headers,
        )
        async with client:
            return await client.request(request.method, request.address, **request.sent)

    def get(self, address: str, **sent: Unpack[Sent]) -> httpx.Response:
        return self.request("GET", address, **sent)

    def put(self, address: str, **sent: Unpack[Sent]) -> httpx.Response:
        return self.request("PUT", address, **sent)

    def patch(self, address: str, **sent: Unpack[Sent]) -> httpx.Response:
        return self.request("PATCH", address, **sent)

    def post(self, address: str, **sent: Unpack[Sent]) -> httpx.Response:
        return self.request("POST", address, **sent)

    def delete(self, address: str, **sent: Unpack[Sent]) -> httpx.Response:
        return self.request("DELETE", address, **sent)


@dataclass
class Request:
    """A request that is yet to be sent."""

    method: str
    address: str
    sent: Sent


@contextlib.contextmanager
def open_bench(portal: BlockingPortal, neighbours: Neighbours | None = None) -> Iterator[Bench]:
    """Open a director that does not run yet; without neighbours it is alone on its links."""
    clock, kernel = Clock(START), MemoryKernel()
    ipvs = BreakableIpvs(kernel)
    made: list[BreakableStore] = []
    servers = Servers(dict)
    disk = [""]

    def open_store() -> BreakableStore:
        made.append(BreakableStore())
        return made[0]

    def open_kernel() -> Kernel:
        host = MemoryHost(sysctls=IPVS_SYSCTLS)
        return Kernel(ipvs, host, neighbours or NoNeighbours(), MemoryLocalState())

    daemon = open_daemon(
        "lb1",
        open_store,
        open_kernel,
        probe=servers.probe,
        disk_problem=lambda: because(disk[0]) if disk[0] else None,
        now=clock,
        monotonic=clock.monotonic,
    )
    with portal.wrap_async_context_manager(daemon) as opened:
        opened.credentials.accept_shared(TOKEN, START + timedelta(days=365))
        yield Bench(portal, opened, kernel, ipvs, made[0], clock, servers, disk)


def json_of(document: object) -> bytes:
    """Write a document as a request's body."""
    return json.dumps(document).encode()
