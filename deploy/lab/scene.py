"""What `python -m deploy.lab up` plays inside the guest: the farm's network, and who acts in it."""

import contextlib
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.lab.forward import DEVICE
from deploy.lab.guest import OUT_IN_GUEST
from deploy.lab.modules import load_modules
from deploy.lab.network import Network
from deploy.lab.poll import poll
from deploy.lab.topology import FARM, farm_topology

API_PORT = 8080
_STARTED_WITHIN_S = 60.0
READY = "ready"  # a file in /out that says that everything was started
LOGS = "logs"  # a folder in /out

# What is started, in this order: the node, a name for its log, and the command.
Command = tuple[str, str, Sequence[str]]
COMMANDS: tuple[Command, ...] = (
    ("lb1", "http", (sys.executable, "-m", "http.server", str(API_PORT), "--bind", "192.0.2.10")),
)


def play(commands: Sequence[Command], out: Path) -> None:
    """Build the network, start the commands on their nodes, and stay until the guest is halted.

    Args:
        commands: What to start.
        out: The folder for the logs, and for the sign that everything was started.
    """
    load_modules()
    with Network(farm_topology(far_real_servers=1), out / LOGS) as network:
        network.plug_in_device(DEVICE, FARM)
        for node, name, argv in commands:
            network[node].start(argv, name)
        poll(lambda: _is_reachable(network), _STARTED_WITHIN_S)
        (out / READY).touch()
        signal.pause()


def _is_reachable(network: Network) -> bool:
    """Tell whether the API takes connections, as they come from the host."""
    with network["c1"].enter(), contextlib.suppress(OSError):
        socket.create_connection((network.address("lb1"), API_PORT), timeout=1).close()
        return True
    return False


if __name__ == "__main__":
    play(COMMANDS, OUT_IN_GUEST)
