"""How long a large farm takes from the REST request to the kernel, beside keepalived and ipvsadm.

Run in the lab, where it has a kernel of its own::

    python -m deploy.lab exec --time-limit 900 -- python -m benchmarks.farm_put

Every way makes the same 1,000 services with 10 destinations each, in turns, each time in a new
network namespace. A PUT of the farm is timed from the request, by a client that is
connected already, until the last destination stands in /proc/net/ip_vs, and until its answer
(``?wait``), when the VIPs have been probed for and added too. Medians are printed.
"""

import contextlib
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import httpx

from benchmarks.ipvs_table import Benchmark, Timings, enter_new_namespace
from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.modules import load_modules
from deploy.lab.network import Network
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.table import (
    AddressKey,
    DestinationConfig,
    DestinationKey,
    IpvsTable,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import IpProtocol

ROUNDS = 3
SERVICES, SERVERS, VIPS = 1000, 10, 250
FIRST_VIP, FIRST_RIP = IPv4Address("198.51.100.1"), IPv4Address("203.0.113.1")
HEADER_LINES = 3
WITHIN_S = 60.0
HEADERS = {"Content-Type": "application/json"}


def farm() -> Json:
    """Return the farm as its document."""
    real_servers = [{"name": f"rs{n}", "address": str(FIRST_RIP + n)} for n in range(SERVERS)]
    return {
        "services": [
            {
                "name": f"s{number}",
                "vip": str(FIRST_VIP + number % VIPS),
                "ports": [80 + number // VIPS],
                "scheduler": "rr",
                "pool": f"p{number}",
            }
            for number in range(SERVICES)
        ],
        "pools": [{"name": f"p{n}", "real_servers": real_servers} for n in range(SERVICES)],
    }


def table() -> IpvsTable:
    """Return the table that the farm stands for."""
    return {
        AddressKey(IpProtocol.TCP, FIRST_VIP + number % VIPS, port): VirtualService(
            VirtualServiceConfig("rr"),
            {DestinationKey(FIRST_RIP + n, port): DestinationConfig(100) for n in range(SERVERS)},
        )
        for number in range(SERVICES)
        for port in [80 + number // VIPS]
    }


def measure_put(timings: Timings, folder: Path) -> None:
    """Measure one PUT through a director that has just started."""
    with Network(farm_topology(real_servers=0), folder / "logs") as network:
        daemons = FarmDaemons(network, folder / "state")
        director = daemons.start_director()
        lines = Path(f"/proc/{director.pid}/net/ip_vs")
        began, answered = folder / "began", folder / "answered"
        body = json.dumps(farm()).encode()

        def put() -> None:
            with httpx.Client(base_url=daemons.url, headers=HEADERS, timeout=WITHIN_S) as person:
                person.headers["Authorization"] = f"Bearer {daemons.token}"
                person.get("/healthz")
                began.write_text(str(time.perf_counter()))
                person.put(f"/v1/farm?wait={WITHIN_S:.0f}", content=body).raise_for_status()
            answered.touch()

        client = network["lb1"].fork(put, "client")
        complete = HEADER_LINES + SERVICES * (1 + SERVERS)
        poll(lambda: lines.read_bytes().count(b"\n") == complete, WITHIN_S)
        stands = time.perf_counter()
        poll(answered.exists, WITHIN_S)
        started = float(began.read_text())  # CLOCK_MONOTONIC is one for all processes
        timings["lvsctl: PUT /v1/farm until the table stands"].append(stands - started)
        timings["lvsctl: PUT /v1/farm?wait until answered"].append(time.perf_counter() - started)
        client.wait(WITHIN_S)


@contextlib.contextmanager
def own_namespace() -> Iterator[NetlinkIpvs]:
    """Enter a new namespace with its IPVS table."""
    enter_new_namespace()
    with contextlib.closing(NetlinkIpvs()) as ipvs:
        yield ipvs


def main() -> None:
    """Measure every way, in turns."""
    load_modules()
    timings: Timings = defaultdict(list)
    others = Benchmark(table())
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            measure_put(timings, Path(folder))
    for _ in range(ROUNDS):
        with own_namespace() as ipvs:
            others.batch(ipvs)
        with own_namespace() as ipvs:
            others.restored(ipvs)
        with own_namespace() as ipvs:
            others.keepalived(ipvs)
    for name, seconds in {**timings, **others.timings}.items():
        print(f"{statistics.median(seconds):8.3f} s  {name}")


if __name__ == "__main__":
    main()
