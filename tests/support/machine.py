"""A Debian machine that a test may change: systemd and all, in a container of this kernel's.

Its files are those of a folder, which stays as it is: what changes is kept in memory.
"""

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

BOOT_WITHIN_S = 120
STOP_WITHIN_S = 5
AS_ROOT: Sequence[str] = () if os.geteuid() == 0 else ("sudo", "-n")
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
_LEADER = "X_NSPAWN_LEADER_PID="


class Machine:
    """A machine that has booted.

    Args:
        leader: Process number of its init.
    """

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def run(self, *command: str, directory: str = "/") -> subprocess.CompletedProcess[str]:
        """Run a command as its root, whatever comes of it; errors are in the output."""
        variables = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        enter = ("nsenter", f"--target={self._leader}", "--all", "--wd=/")
        return subprocess.run(
            [*AS_ROOT, *enter, "env", "-i", f"--chdir={directory}", *variables, *command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def output(self, *command: str, directory: str = "/") -> str:
        """Run a command that must succeed, and return its output without the last newline."""
        done = self.run(*command, directory=directory)
        assert 0 == done.returncode, f"{' '.join(command)}: {done.stdout}"
        return done.stdout.rstrip("\n")

    def shell(self, *scripts: str, directory: str = "/") -> str:
        """Run scripts of which every line must succeed, and return their output."""
        return self.output("bash", "-euc", "\n".join(scripts), directory=directory)

    def kill(self) -> None:
        """End its init, and with it all that runs there."""
        subprocess.run([*AS_ROOT, "kill", "-KILL", str(self._leader)], check=True)


Boot = Callable[[Mapping[Path, str]], contextlib.AbstractContextManager[Machine]]
"""Boots a machine, which sees folders of this host at places of its own."""


@contextlib.contextmanager
def booted(
    root: Path, *, log: Path, shared: Mapping[Path, str], network: Sequence[str] = ()
) -> Iterator[Machine]:
    """Boot a machine without a network, and stop it.

    Args:
        root: Its file system, which is not changed.
        log: File for what it writes to its console.
        shared: Folders of this host that it can read, with their places there.
        network: Addresses of its own, on its loopback.
    """
    name = f"machine-{uuid4().hex[:8]}"  # of its own also while other checkouts are tested
    command = [
        *AS_ROOT,
        *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe"),
        f"--machine={name}",
        *("--boot", "--notify-ready=yes", "--volatile=overlay", "--private-network"),
        *(f"--bind-ro={folder.resolve()}:{place}" for folder, place in shared.items()),
        f"--directory={root}",
    ]
    with (
        TemporaryDirectory() as folder,
        log.open("w") as console,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
    ):
        notify.bind(f"{folder}/notify")
        notify.settimeout(BOOT_WITHIN_S)
        environment = {**os.environ, "NOTIFY_SOCKET": f"{folder}/notify"}
        container = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
        machine = None
        try:
            machine = Machine(_leader_when_ready(notify))
            for address in network:
                machine.output("ip", "address", "add", address, "dev", "lo")
            yield machine
        except TimeoutError as error:
            raise AssertionError(f"{root} did not boot: {log.read_text()}") from error
        finally:
            _stop(container, machine)


def _stop(container: subprocess.Popen[bytes], machine: Machine | None) -> None:
    """Stop it at once: nothing in it is kept. nspawn may miss the end of what it runs."""
    if machine is not None:
        machine.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        container.wait(STOP_WITHIN_S)
    if container.poll() is None:
        subprocess.run([*AS_ROOT, "kill", "-KILL", str(container.pid)], check=True)
        container.wait()


def _leader_when_ready(notify: socket.socket) -> int:
    leader = 0
    while True:
        for line in notify.recv(4096).decode().splitlines():
            if line.startswith(_LEADER):
                leader = int(line.removeprefix(_LEADER))
            elif line == "READY=1":
                return leader
