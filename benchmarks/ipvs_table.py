"""Measures how long it takes to create and read a large IPVS table, with lvsctl and others.

Run in the lab, where it has a kernel of its own::

    python -m deploy.lab exec --time-limit 600 -- python -m benchmarks.ipvs_table

Every method creates the same table, in turn, each time in a new network namespace: for two minutes
the kernel keeps deleted destinations in a list that is searched for each new one, which would make
all but the first run three to ten times slower. Times are taken until the last destination exists;
medians are printed.
"""

import argparse
import contextlib
import gc
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

from benchmarks.farms import keepalived_configuration
from benchmarks.on_others import enter_new_namespace
from lvsctl.ipvs.codec.requests import encode_operation
from lvsctl.ipvs.ipvsadm import IpvsadmIpvs
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.save_format import operation_arguments
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    IpvsTable,
    Operation,
    ServiceKey,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import IpProtocol

VIPS = 250
_POLL_S = 0.005
_PROC = Path("/proc/thread-self/net/ip_vs")
BATCH = "lvsctl, netlink: thereof the batch"

Timings = dict[str, list[float]]


def table(services: int, destinations: int, scheduler: str) -> IpvsTable:
    """Return a table of TCP services, each with the given number of destinations."""
    made: dict[ServiceKey, VirtualService] = {}
    for number in range(services):
        port = 80 + number // VIPS
        key = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.1") + number % VIPS, port)
        made[key] = VirtualService(
            VirtualServiceConfig(scheduler),
            {
                DestinationKey(IPv4Address("192.0.2.1") + host, port): DestinationConfig(100)
                for host in range(destinations)
            },
        )
    return made


def adding(wanted: IpvsTable) -> list[Operation]:
    """Return the operations that create a table, in the order of a plan."""
    operations: list[Operation] = []
    for key, service in wanted.items():
        operations.append(AddService(key, service.config))
        operations += [
            AddDestination(key, destination, config)
            for destination, config in service.destinations.items()
        ]
    return operations


def weights(wanted: IpvsTable, weight: int) -> list[Operation]:
    """Return an edit of every destination's weight."""
    return [
        EditDestination(key, destination, DestinationConfig(weight))
        for key, service in wanted.items()
        for destination in service.destinations
    ]


@contextlib.contextmanager
def timed(timings: list[float]) -> Iterator[None]:
    """Append the duration of the block in seconds."""
    gc.collect()
    started = time.perf_counter()
    yield
    timings.append(time.perf_counter() - started)


class Benchmark:
    """The methods to create a table and to read it."""

    def __init__(self, wanted: IpvsTable) -> None:
        self.wanted = wanted
        self.operations = adding(wanted)
        self.timings: Timings = defaultdict(list)

    def run(self) -> None:
        """Run every method once, each in its own namespace."""
        for method in (
            *(self.netlink, self.batch, self.restored, self.ipvsadm, self.keepalived),
            self.reading,
        ):
            enter_new_namespace()
            with contextlib.closing(NetlinkIpvs()) as ipvs:
                method(ipvs)
                if ipvs.snapshot() != self.wanted:
                    raise SystemExit(f"{method.__name__}: the table is not complete")

    def netlink(self, ipvs: NetlinkIpvs) -> None:
        """Measure the netlink backend as a whole, and a change of all weights."""
        with timed(self.timings["lvsctl, netlink: apply"]):
            ipvs.apply(self.operations)
        heavier, lighter = weights(self.wanted, 101), weights(self.wanted, 100)
        with timed(self.timings["lvsctl, netlink: all weights changed"]):
            ipvs.apply(heavier)
        ipvs.apply(lighter)

    def batch(self, ipvs: NetlinkIpvs) -> None:
        """Measure the parts of the netlink backend: encoding, and the batch itself."""
        with timed(self.timings["lvsctl, netlink: thereof encoding"]):
            payloads = [encode_operation(operation) for operation in self.operations]
        with timed(self.timings[BATCH]):
            ipvs._socket.batch(payloads)  # noqa: SLF001 - the parts are what is measured

    def restored(self, _ipvs: NetlinkIpvs) -> None:
        """Measure ipvsadm alone."""
        lines = "".join(" ".join(operation_arguments(each)) + "\n" for each in self.operations)
        with timed(self.timings["ipvsadm -R"]):
            subprocess.run(["ipvsadm", "-R"], input=lines, text=True, check=True)

    def ipvsadm(self, _ipvs: NetlinkIpvs) -> None:
        """Measure the ipvsadm backend."""
        ipvsadm = IpvsadmIpvs()
        with timed(self.timings["lvsctl, ipvsadm: apply"]):
            ipvsadm.apply(self.operations)

    def keepalived(self, ipvs: NetlinkIpvs) -> None:
        """Measure keepalived from its start to its last destination, then kill it."""
        last = list(self.wanted)[-1]
        with tempfile.TemporaryDirectory() as folder:
            configuration = Path(folder) / "keepalived.conf"
            configuration.write_text(keepalived_configuration(self.wanted))
            command = ["keepalived", "--check", "--dont-fork", "-f", str(configuration)]
            with timed(self.timings["keepalived start"]):
                process = subprocess.Popen(
                    command,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                while ipvs.snapshot([last]).get(last) != self.wanted[last]:
                    time.sleep(_POLL_S)
            os.killpg(process.pid, signal.SIGKILL)  # on SIGTERM it deletes the table
            process.wait()

    def reading(self, ipvs: NetlinkIpvs) -> None:
        """Measure all methods to read the table."""
        ipvs.apply(self.operations)
        ipvsadm = IpvsadmIpvs()
        first = next(iter(self.wanted))
        methods: dict[str, Callable[[], object]] = {
            "lvsctl, netlink: snapshot": ipvs.snapshot,
            "lvsctl, netlink: snapshot of one service": lambda: ipvs.snapshot([first]),
            "lvsctl, netlink: counters": ipvs.counters,
            "lvsctl, ipvsadm: snapshot": ipvsadm.snapshot,
            "ipvsadm -Ln": lambda: subprocess.run(
                ["ipvsadm", "-Ln"], stdout=subprocess.DEVNULL, check=True
            ),
            "/proc/net/ip_vs": _PROC.read_bytes,
        }
        for name, read in methods.items():
            with timed(self.timings[f"read: {name}"]):
                read()


def main() -> None:
    """Run every method a few times and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--destinations", type=int, default=10)
    parser.add_argument("--scheduler", default="rr")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    benchmark = Benchmark(table(arguments.services, arguments.destinations, arguments.scheduler))
    subprocess.run(["modprobe", f"ip_vs_{arguments.scheduler}"], check=True)
    for _ in range(arguments.runs):
        benchmark.run()
    report(arguments, benchmark.timings)


def report(arguments: argparse.Namespace, timings: Timings) -> None:
    """Print the medians, also as multiples of lvsctl's netlink batch."""
    batch_s = statistics.median(timings[BATCH])
    print(
        f"{arguments.services} services x {arguments.destinations} destinations, "
        f"{arguments.scheduler}, Linux {os.uname().release}, medians of {arguments.runs}"
    )
    for name, seconds in timings.items():
        median_s = statistics.median(seconds)
        print(f"{name:<52}{median_s:>9.4f} s {median_s / batch_s:>8.1f} batches")


if __name__ == "__main__":
    main()
