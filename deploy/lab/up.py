"""`python -m deploy.lab up` and `demo`: a guest with the farm in it, reachable from loopback."""

import secrets
import threading
from pathlib import Path

from deploy.lab.daemons import API_PORT
from deploy.lab.errors import LabError
from deploy.lab.forward import Forward, Slirp, slirp
from deploy.lab.guest import Guest, Machine, job_script
from deploy.lab.poll import poll
from deploy.lab.scene import LOGS, READY, SHOW, STAY, TOKEN_IN

_READY_WITHIN_S = 300.0
_SHOWN_WITHIN_S = 600.0


def run_scene(out: Path, cpu: int, memory: str, host_port: int, *, show: bool) -> int:
    """Boot the farm and stay until it ends, or until this process is told to.

    Args:
        out: The folder that the guest sees as /out.
        cpu: The processor that it is pinned to.
        memory: Its memory, such as 1G.
        host_port: Of the loopback, where the director's API is to be reached.
        show: Go through the demonstration first.

    Returns:
        The guest's exit status.
    """
    token = secrets.token_hex(16)
    forward = Forward(host_port, "192.0.2.10", API_PORT)
    job = _job(token, [STAY, *([SHOW] if show else [])])
    (out / READY).unlink(missing_ok=True)
    with slirp() as network, Guest(job, out, Machine(cpu, memory, (network.device,))) as guest:
        opener = _Opener(network, forward, out, guest, token)
        opener.start()
        try:
            return guest.wait()
        except LabError as error:
            raise opener.failure or error from None
        except KeyboardInterrupt:
            # The way to end it, once the person has been told so.
            if not opener.told:
                raise
            return 0


def run_demonstration(out: Path, cpu: int, memory: str) -> int:
    """Boot the farm, go through the demonstration and end; return the guest's exit status."""
    with Guest(_job(secrets.token_hex(16), [SHOW]), out, Machine(cpu, memory)) as guest:
        return guest.wait(_SHOWN_WITHIN_S)


def _job(token: str, arguments: list[str]) -> str:
    command = ["python", "-m", "deploy.lab.scene", *arguments]
    return job_script(command, {"LAB": "guest", TOKEN_IN: token})


class _Opener(threading.Thread):
    """Waits until everything was started in the guest, then lets the host in and says where.

    Attributes:
        failure: Why the host could not be let in; the guest was halted then.
        told: Whether the person knows where the director is, and how to end it.
    """

    def __init__(
        self, network: Slirp, forward: Forward, out: Path, guest: Guest, token: str
    ) -> None:
        super().__init__(daemon=True)
        self.failure: LabError | None = None
        self.told = False
        self._network, self._forward, self._out, self._guest = network, forward, out, guest
        self._token = token

    def run(self) -> None:
        """Do so."""
        try:
            poll((self._out / READY).exists, _READY_WITHIN_S)
            self._network.forward(self._forward)
        except LabError as error:
            self.failure = error
            self._guest.halt()
            return
        port = self._forward.host_port
        print(f"lab: the director is at http://127.0.0.1:{port}/docs; for the command line:")
        print(f"  export LVSCTL_URL=http://127.0.0.1:{port} LVSCTL_TOKEN={self._token}")
        print(f"lab: logs are in {self._out / LOGS}; Ctrl-C ends it", flush=True)
        self.told = True
