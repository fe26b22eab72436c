"""A node: a Linux host as a network namespace, and what one does on it."""

import contextlib
import functools
import gc
import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pyroute2 import IPRoute

from deploy.lab import namespaces
from deploy.lab.errors import LabError
from deploy.lab.poll import poll
from deploy.lab.process import NodeProcess
from deploy.lab.rtnetlink import Rtnetlink

_SYSCTLS = Path("/proc/sys")
# An address of the lab is unique by construction: no second to wait before it may be used.
_WITHOUT_DUPLICATE_DETECTION = {
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.dad_transmits": 0,
}


class Node:
    """A host with a network stack, a host name and a /sys of its own; files are shared by all.

    Attributes:
        name: Its host name, and that of its namespace for ip-netns(8).
        logs: The folder for the logs of its processes.
    """

    def __init__(self, name: str, logs: Path, prefix: str = "") -> None:
        """Make a node.

        Args:
            name: See above.
            logs: Likewise.
            prefix: Of its namespace's name, where another node of this name may come.
        """
        self.name = name
        self.logs = logs
        self.processes: list[NodeProcess] = []
        self._named = prefix + name
        self._namespaces = namespaces.create(self._named, name)
        self._exists = True
        self._opened = contextlib.ExitStack()
        with self.enter():
            self._rtnetlink = Rtnetlink()
            self._opened.callback(self._rtnetlink.close)
            for sysctl, value in _WITHOUT_DUPLICATE_DETECTION.items():
                self.write_sysctl(sysctl, value)
        self.set_link("lo", up=True)

    def __repr__(self) -> str:
        return f"<node {self.name}>"

    # --- being there

    @contextlib.contextmanager
    def enter(self) -> Iterator[None]:
        """Be on this node: sockets, sysctls and programs started meanwhile are its own.

        Sockets and files opened inside keep belonging to the node afterwards. Nothing that
        awaits may stand inside: other tasks of the thread would find themselves here too.
        """
        with namespaces.inside(self._namespaces):
            yield

    @property
    def namespace_fd(self) -> int:
        """The network namespace's descriptor, for netlink's `net_ns_fd`."""
        return self._namespaces.net

    # --- programs and processes

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        within_s: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program here to its end.

        Raises:
            LabError: It failed, and `check` is set; its errors are in the text.
            subprocess.TimeoutExpired: It took too long.
        """
        with self.enter():
            done = subprocess.run(
                argv, input=input, capture_output=True, text=True, timeout=within_s, check=False
            )
        if check and done.returncode != 0:
            raise LabError(
                f"{' '.join(argv)} on {self.name} ended with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def start(
        self, argv: Sequence[str], name: str, environment: Mapping[str, str] | None = None
    ) -> NodeProcess:
        """Start a program here and leave it running.

        Args:
            argv: The program and its arguments.
            name: Names the process and its log.
            environment: Added to this process's.
        """
        variables = {**os.environ, **(environment or {})}
        return self.fork(lambda: os.execvpe(argv[0], [*argv], variables), name)  # noqa: S606

    def fork(self, run: Callable[[], object], name: str) -> NodeProcess:
        """Run a callable here in a child of this process: everything imported is there at once.

        The child ends with status 0 when the callable returns, and with 1 and a traceback in its
        log when it raises.

        Args:
            run: What the child does.
            name: Names the process and its log.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{self.name}.{name}.log"
        log.touch()  # it can be read before the child has come to write it
        sys.stdout.flush()
        sys.stderr.flush()
        with self.enter():
            pid = os.fork()
            if pid == 0:
                _be_child(run, log)
        process = NodeProcess(f"{self.name}.{name}", pid, log)
        self.processes.append(process)
        return process

    # --- sysctls

    def read_sysctl(self, name: str) -> str:
        """Read one, such as `net.ipv4.conf.eth0.rp_filter`."""
        with self.enter():
            return _sysctl_path(name).read_text().strip()

    def write_sysctl(self, name: str, value: object) -> None:
        """Write one."""
        with self.enter():
            _sysctl_path(name).write_text(f"{value}\n")

    # --- links, addresses, routes

    @functools.cached_property
    def netlink(self) -> Any:  # noqa: ANN401 - pyroute2 ships no types
        """pyroute2's IPRoute in this node, for what has no method here."""
        with self.enter():
            route = IPRoute()
        self._opened.callback(route.close)
        return route

    def set_link(self, link: str, *, up: bool) -> None:
        """Bring a link up or down; its peer at the switch follows."""
        self._rtnetlink.set_link(link, up=up)

    def add_address(self, link: str, address: str) -> None:
        """Add an address with its prefix length, such as `192.0.2.10/24`."""
        self._rtnetlink.add_address(link, address)

    def delete_address(self, link: str, address: str) -> None:
        """Delete an address with its prefix length."""
        self._rtnetlink.delete_address(link, address)

    def add_route(
        self, destination: str, *, via: str | None = None, link: str | None = None
    ) -> None:
        """Add a route to a prefix, through a gateway or on a link."""
        self._rtnetlink.add_route(destination, via, link)

    def configuration(self) -> dict[str, str]:
        """Return its links, addresses, rules and routes, without what counts or grows older."""
        return self._rtnetlink.configuration()

    # --- the end

    def remove(self) -> None:
        """Kill what runs here and remove the node, if it is still there; its links go with it."""
        if not self._exists:
            return
        self._exists = False
        for process in self.processes:
            process.signal(signal.SIGKILL)
        poll(self._kill_whoever_is_here, within_s=10, until=lambda killed: not killed)
        for process in self.processes:
            process.kill()
        self._opened.close()
        namespaces.remove_name(self._named)
        self._namespaces.close()

    def _kill_whoever_is_here(self) -> list[int]:
        here = os.fstat(self._namespaces.net).st_ino
        killed = []
        for process in Path("/proc").glob("[0-9]*"):
            pid = int(process.name)
            # A process that is just ending may not be looked at (EACCES).
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if process.joinpath("ns/net").stat().st_ino == here and pid != os.getpid():
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
        return killed


def _sysctl_path(name: str) -> Path:
    # A device's name may hold a dot, which sysctl(8) writes as a slash.
    return _SYSCTLS / name.translate(str.maketrans("./", "/."))


def _be_child(run: Callable[[], object], log: Path) -> NoReturn:
    """Be the child of `Node.fork`, to its end."""
    status = 1
    try:
        _take_leave_of_the_parent(log)
        run()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it was, this process ends with it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _take_leave_of_the_parent(log: Path) -> None:
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    # A collection would look at everything that was inherited, and so copy all of it.
    gc.freeze()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The parent's may be those of a test run that captures them.
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor, and for good
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    logging.getLogger().handlers.clear()
    namespaces.mount_own_sys()
