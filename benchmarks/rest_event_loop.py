"""Measures how long the event loop is blocked by REST requests on a large farm.

Run it: ``python -m benchmarks.rest_event_loop [services] [servers]``, by default 1,000 and 10.
Kernel, host and store are in memory, so only the director's own work is measured.
"""

import asyncio
import json
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog

from api.app import create_app
from lvsctl.director.interpreter import favour_the_event_loop
from lvsctl.director.main import IPVS_SYSCTLS, Kernel, open_daemon
from lvsctl.director.vips.neighbours import NoNeighbours
from lvsctl.health.probes.kinds import Probes
from lvsctl.host.memory import MemoryHost
from lvsctl.ipvs.memory import MemoryIpvs
from lvsctl.store.memory import MemoryLocalState, MemoryStore

TICK_S = 0.001
TOKEN = secrets.token_hex(32)


class Watch:
    """Records the longest time for which the event loop was blocked.

    Attributes:
        worst_s: Elapsed time, which includes other processes on a busy machine.
        worst_cpu_s: Processor time of this process.
    """

    def __init__(self) -> None:
        self.worst_s = self.worst_cpu_s = 0.0

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            before, cpu_before = time.perf_counter(), time.process_time()
            await asyncio.sleep(TICK_S)
            self.worst_s = max(self.worst_s, time.perf_counter() - before - TICK_S)
            self.worst_cpu_s = max(self.worst_cpu_s, time.process_time() - cpu_before)


def farm(services: int, servers: int) -> bytes:
    """Return a farm in which each service has its own pool."""
    document = {
        "services": [
            {"name": f"s{n}", "vip": f"198.18.{n >> 8}.{n & 255}", "ports": [80], "pool": f"s{n}"}
            for n in range(1, services + 1)
        ],
        "pools": [
            {
                "name": f"s{n}",
                "real_servers": [
                    {"name": f"rs{m}", "address": f"10.{n >> 8}.{n & 255}.{m}"}
                    for m in range(1, servers + 1)
                ],
            }
            for n in range(1, services + 1)
        ],
    }
    return json.dumps(document).encode()


async def measure(services: int, servers: int) -> None:
    """Send the requests one after the other, and print how long each blocked the loop."""
    body = farm(services, servers)
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/healthz", {}),
        ("PUT", "/v1/farm?wait=60", {"content": body}),
        ("PUT", "/v1/farm?wait=60", {"content": body}),
        ("GET", "/v1/farm", {}),
        ("GET", "/v1/services", {}),
        ("GET", "/v1/services/s1", {}),
        ("GET", "/v1/pools", {}),
        ("GET", "/v1/table", {}),
        ("GET", "/v1/plan", {}),
        ("GET", "/metrics", {}),
        ("PATCH", "/v1/services/s1?wait=60", {"content": b'{"scheduler": "rr"}'}),
        ("GET", "/openapi.json", {}),
    ]
    print(f"{services} services x {servers} servers, {len(body)} bytes")
    async with open_daemon(
        "lb1",
        MemoryStore,
        lambda: Kernel(
            MemoryIpvs(), MemoryHost(sysctls=IPVS_SYSCTLS), NoNeighbours(), MemoryLocalState()
        ),
        probe=Probes().probe,
    ) as daemon:
        daemon.credentials.accept_shared(TOKEN, datetime.max.replace(tzinfo=UTC))
        app = create_app(daemon)
        favour_the_event_loop()
        reconciling = asyncio.create_task(daemon.run())
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://lb1",
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        ) as client:
            for method, address, sent in requests:
                watch = Watch()
                watching = asyncio.create_task(watch.run())
                await asyncio.sleep(0.05)
                begin = time.perf_counter()
                answer = await client.request(method, address, **sent)
                took_s = time.perf_counter() - begin
                await asyncio.sleep(0.05)
                watching.cancel()
                answer.raise_for_status()
                print(
                    f"{method:5} {address:25} {took_s * 1e3:8.1f} ms, "
                    f"loop blocked {watch.worst_s * 1e3:6.1f} ms, "
                    f"of which computing {watch.worst_cpu_s * 1e3:5.1f} ms"
                )
        reconciling.cancel()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    given = [int(number) for number in sys.argv[1:3]]
    asyncio.run(measure(*given, *(1000, 10)[len(given) :]))
