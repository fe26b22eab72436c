"""The way from the host's loopback into a guest: slirp4netns(1) as a host on the farm's link.

It is 192.0.2.2 there, and answers for no other address. Nothing in the guest has a route through
it, and it takes nothing to the host's own loopback.
"""

import contextlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.lab.confinement import with_its_launcher
from deploy.lab.errors import LabError
from deploy.lab.guest import SYSTEM_PATH, private_folder
from deploy.lab.poll import poll

DEVICE = "vec0"  # what the guest sees of it
PACKAGE = "slirp4netns"
_LINK = "192.0.2.0/24"
_STARTS_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Forward:
    """A port of the host's loopback, and where its connections go."""

    host_port: int
    address: str
    port: int


class Slirp:
    """A running slirp4netns.

    Attributes:
        device: The words for the guest's kernel that connect it, see `Machine.devices`.
    """

    def __init__(self, folder: Path) -> None:
        self._api = folder / "api"
        self.device = f"{DEVICE}:transport=bess,dst={folder / 'link'},depth=64"

    def forward(self, forward: Forward) -> None:
        """Begin to take connections for the guest, whose device must be up.

        Raises:
            LabError: It refuses: somebody else listens at that port, for instance.
        """
        arguments = {
            "proto": "tcp",
            "host_addr": "127.0.0.1",
            "host_port": forward.host_port,
            "guest_addr": forward.address,
            "guest_port": forward.port,
        }
        request = {"execute": "add_hostfwd", "arguments": arguments}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._api))
            connection.sendall(json.dumps(request).encode())
            connection.shutdown(socket.SHUT_WR)
            answer = json.loads(connection.makefile().read())
        if "error" in answer:
            raise LabError(
                f"port {forward.host_port} of 127.0.0.1 cannot be had "
                f"({answer['error'].get('desc', answer)}): choose another with --port"
            )


@contextlib.contextmanager
def slirp() -> Iterator[Slirp]:
    """Run slirp4netns, to be started before the guest that connects to it.

    Raises:
        LabError: It is missing or does not start.
    """
    if shutil.which("slirp4netns", path=SYSTEM_PATH) is None:
        raise LabError(f"slirp4netns is missing; install it: apt-get install {PACKAGE}")
    with private_folder() as folder:
        command = [
            *("slirp4netns", "--target-type=bess", "--mtu=1500"),
            *("--disable-host-loopback", f"--cidr={_LINK}"),
            *("--api-socket", str(folder / "api"), str(folder / "link")),
        ]
        log = folder / "log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                with_its_launcher(command), stdout=said, stderr=said, start_new_session=True
            )
        try:
            _await_socket(process, folder / "link", log)
            yield Slirp(folder)
        finally:
            process.terminate()
            process.wait()


def _await_socket(process: "subprocess.Popen[bytes]", link: Path, log: Path) -> None:
    poll(lambda: link.exists() or process.poll() is not None, _STARTS_WITHIN_S)
    if process.poll() is not None:
        raise LabError(f"slirp4netns did not start: {log.read_text().strip()}")
