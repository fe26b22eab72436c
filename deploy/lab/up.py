"""`python -m deploy.lab up`: a guest with the scene in it, reachable from the host's loopback."""

import threading
from pathlib import Path

from deploy.lab.errors import LabError
from deploy.lab.forward import Forward, Slirp, slirp
from deploy.lab.guest import Guest, Machine, job_script
from deploy.lab.poll import poll
from deploy.lab.scene import API_PORT, LOGS, READY

_READY_WITHIN_S = 120.0


def run_scene(out: Path, cpu: int, memory: str, host_port: int) -> int:
    """Boot the scene and stay until it ends, or until this process is told to.

    Args:
        out: The folder that the guest sees as /out.
        cpu: The processor that it is pinned to.
        memory: Its memory, such as 1G.
        host_port: Of the loopback, where the director's API is to be reached.

    Returns:
        The scene's exit status.
    """
    forward = Forward(host_port, "192.0.2.10", API_PORT)
    job = job_script(["python", "-m", "deploy.lab.scene"], {"LAB": "guest"})
    (out / READY).unlink(missing_ok=True)
    with slirp() as network, Guest(job, out, Machine(cpu, memory, (network.device,))) as guest:
        opener = _Opener(network, forward, out, guest)
        opener.start()
        try:
            return guest.wait()
        except LabError as error:
            raise opener.failure or error from None


class _Opener(threading.Thread):
    """Waits until everything was started in the guest, then lets the host in and says where.

    Attributes:
        failure: Why the host could not be let in; the guest was halted then.
    """

    def __init__(self, network: Slirp, forward: Forward, out: Path, guest: Guest) -> None:
        super().__init__(daemon=True)
        self.failure: LabError | None = None
        self._network, self._forward, self._out, self._guest = network, forward, out, guest

    def run(self) -> None:
        """Do so."""
        try:
            poll((self._out / READY).exists, _READY_WITHIN_S)
            self._network.forward(self._forward)
        except LabError as error:
            self.failure = error
            self._guest.halt()
            return
        print(f"lab: lb1 is at http://127.0.0.1:{self._forward.host_port}/, ", end="")
        print(f"logs are in {self._out / LOGS}; Ctrl-C ends it", flush=True)
