"""Measures ipvsadm and keepalived with the same table, each in a new network namespace.

A new namespace each time, because for two minutes the kernel keeps deleted destinations in a list
that is searched for each new one, which would make all but the first run three to ten times slower.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.farms import WEIGHT, Size, keepalived_configuration, table
from benchmarks.samples import IPVSADM, KEEPALIVED, Recorder
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.save_format import format_table
from lvsctl.ipvs.table import DestinationConfig, IpvsTable, VirtualService

WITHIN_S = 120.0
_POLL_S = 0.005
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def enter_new_namespace() -> None:
    """Move this thread into a new network namespace with lo up.

    Without any device up, Linux takes every IPv4 destination for a broadcast address (EINVAL).
    """
    if _LIBC.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def wait_for_table(ipvs: NetlinkIpvs, wanted: IpvsTable) -> float:
    """Wait until the last service is complete; return when, and check that all others are too.

    Only the last service is polled, as reading the whole table would use the only processor.
    """
    last = list(wanted)[-1]
    ends = time.perf_counter() + WITHIN_S
    while ipvs.snapshot([last]).get(last) != wanted[last]:
        if time.perf_counter() > ends:
            raise SystemExit(f"the table was not complete within {WITHIN_S:g} s")
        time.sleep(_POLL_S)
    complete = time.perf_counter()
    if ipvs.snapshot() != wanted:
        raise SystemExit("the last service was complete before others")
    return complete


def measure_ipvsadm(size: Size, recorder: Recorder) -> None:
    """Measure restoring the table from a file, and listing it."""
    enter_new_namespace()
    wanted = table(size)
    with contextlib.closing(NetlinkIpvs()) as ipvs:
        lines = format_table(wanted)
        began = time.perf_counter()
        subprocess.run(["ipvsadm", "-R"], input=lines, text=True, check=True)
        recorder.add("put", size.name, IPVSADM, time.perf_counter() - began)
        wait_for_table(ipvs, wanted)
    began = time.perf_counter()
    subprocess.run(["ipvsadm", "-Ln", "--stats"], stdout=subprocess.DEVNULL, check=True)
    recorder.add("table", size.name, IPVSADM, time.perf_counter() - began)


def measure_keepalived(size: Size, recorder: Recorder, idle_s: float) -> None:
    """Measure keepalived from its start to its last destination, a reload, and idle."""
    enter_new_namespace()
    wanted = table(size)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(NetlinkIpvs()) as ipvs:
        configuration = Path(folder) / "keepalived.conf"
        configuration.write_text(keepalived_configuration(wanted))
        began = time.perf_counter()
        with _keepalived(configuration) as process:
            recorder.add("put", size.name, KEEPALIVED, wait_for_table(ipvs, wanted) - began)
            changed = _with_last_weight(wanted, WEIGHT + 1)
            configuration.write_text(keepalived_configuration(changed))
            began = time.perf_counter()
            process.send_signal(signal.SIGHUP)
            took_s = wait_for_table(ipvs, changed) - began
            recorder.add("patch", size.name, KEEPALIVED, took_s * 1000)
            recorder.add("idle", size.name, KEEPALIVED, idle_percent(_group(process.pid), idle_s))


def _with_last_weight(wanted: IpvsTable, weight: int) -> IpvsTable:
    """Return a table whose last destination has another weight."""
    key, service = list(wanted.items())[-1]
    last = list(service.destinations)[-1]
    destinations = {**service.destinations, last: DestinationConfig(weight)}
    return {**wanted, key: VirtualService(service.config, destinations)}


@contextlib.contextmanager
def _keepalived(configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = ["keepalived", "--check", "--dont-fork", "-f", str(configuration)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # on SIGTERM it deletes the table
        process.wait()


def _group(leader: int) -> list[int]:
    """Return the processes in a process group."""
    return [
        int(path.name)
        for path in Path("/proc").glob("[0-9]*")
        if os.getpgid(int(path.name)) == leader
    ]


def idle_percent(pids: list[int], seconds: float) -> float:
    """Return the processor time that processes use over a time, in percent of one processor."""
    before = sum(map(cpu_s, pids))
    time.sleep(seconds)
    return (sum(map(cpu_s, pids)) - before) / seconds * 100


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used so far, in seconds."""
    fields = re.sub(r"^.*\) ", "", Path(f"/proc/{pid}/stat").read_text()).split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
