"""Real members of etcd on this host's loopback."""

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

START_WITHIN_S = 30.0


def free_ports(number: int) -> list[int]:
    """Return ports on which nobody listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Member:
    """One member, which can be killed, stopped for a while, and started again.

    Args:
        name: Of the member.
        folder: Where its data lies.
        ports: For clients and for the other members.
        cluster: All members with their URLs, as ``--initial-cluster`` wants them.
    """

    def __init__(self, name: str, folder: Path, ports: tuple[int, int], cluster: str) -> None:
        self.name = name
        self.folder = folder
        self.url = f"http://127.0.0.1:{ports[0]}"
        self._peer = f"http://127.0.0.1:{ports[1]}"
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with the data that it has."""
        flags = {
            "name": self.name,
            "data-dir": str(self.folder),
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": self._peer,
            "initial-advertise-peer-urls": self._peer,
            "initial-cluster": self._cluster,
            "heartbeat-interval": "100",
            "election-timeout": "1000",
            "log-level": "error",
        }
        log = self.folder.with_suffix(".log").open("ab")
        with log:
            self._process = subprocess.Popen(
                ["etcd", *(f"--{name}={value}" for name, value in flags.items())],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self._process:
            self._process.send_signal(number)

    def is_healthy(self) -> bool:
        """Return whether it answers a read that needs the majority."""
        request = urllib.request.Request(  # noqa: S310 - our own URL
            f"{self.url}/v3/kv/range", json.dumps({"key": "YQ=="}).encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
                return answer.status == 200
        except OSError:
            return False


def wait_until_healthy(members: Sequence[Member]) -> None:
    """Wait until each of these members answers."""
    deadline = time.monotonic() + START_WITHIN_S
    waiting = list(members)
    while waiting:
        assert time.monotonic() < deadline, f"etcd does not start: {waiting[0].folder}"
        waiting = [each for each in waiting if not each.is_healthy()]


@contextlib.contextmanager
def etcd_cluster(folder: Path, number: int) -> Iterator[list[Member]]:
    """Yield the members of an etcd that is ready."""
    ports = free_ports(2 * number)
    names = [f"m{index}" for index in range(1, number + 1)]
    peers = ports[number:]
    cluster = ",".join(
        f"{name}=http://127.0.0.1:{port}" for name, port in zip(names, peers, strict=True)
    )
    members = [
        Member(name, folder / name, (client, peer), cluster)
        for name, client, peer in zip(names, ports, peers, strict=False)
    ]
    try:
        for member in members:
            member.start()
        wait_until_healthy(members)
        yield members
    finally:
        for member in members:
            member.kill()
