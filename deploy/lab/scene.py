"""What `python -m deploy.lab up` and `demo` play inside the guest: the farm, in its network."""

import contextlib
import os
import signal
import sys
from pathlib import Path

from deploy.lab import memory

# isort: split
from deploy.lab import demo
from deploy.lab.daemons import FarmDaemons
from deploy.lab.forward import DEVICE
from deploy.lab.guest import OUT_IN_GUEST
from deploy.lab.modules import load_modules
from deploy.lab.network import Network
from deploy.lab.topology import FARM, farm_topology

READY = "ready"  # a file in /out that says that everything was started
LOGS = "logs"  # a folder in /out
TOKEN_IN = "LAB_TOKEN"  # noqa: S105 - the environment variable, not the token in it
SHOW, STAY = "--show", "--stay"


def play(out: Path, token: str, *, show: bool, stay: bool) -> None:
    """Build the network, start the farm, and stay until the guest is halted.

    Args:
        out: The folder for logs and state, and for the sign that everything was started.
        token: The API's bearer token.
        show: Go through the demonstration.
        stay: Stay after it.
    """
    memory.everything_is_loaded()
    load_modules()
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network(farm_topology(), out / LOGS))
        if stay:
            network.plug_in_device(DEVICE, FARM)
        daemons = FarmDaemons(network, Path("/var/lib"), token=token)
        demo.start(daemons)
        if show:
            demo.show(daemons)
        if stay:
            (out / READY).touch()
            signal.pause()


if __name__ == "__main__":
    play(OUT_IN_GUEST, os.environ[TOKEN_IN], show=SHOW in sys.argv, stay=STAY in sys.argv)
