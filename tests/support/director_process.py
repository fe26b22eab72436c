"""A director as a process of its own, whose kernel is in memory."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LVSCTL = Path(sys.executable).with_name("lvsctl")
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of a director in memory


@dataclass(frozen=True)
class DirectorProcess:
    """A director that runs.

    Attributes:
        host: Address of its REST API.
        port: Its port.
        socket: Its UNIX socket.
        token_file: Holds its token.
        process: The process.
    """

    host: str
    port: int
    socket: Path
    token_file: Path
    process: "subprocess.Popen[str]"

    @property
    def url(self) -> str:
        """Of its REST API."""
        return f"http://{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs."""
        return {"Authorization": f"Bearer {TOKEN}"}

    def lvsctl(self, *arguments: str | Path) -> tuple[int, str]:
        """Run a command as root of its host does; return its status and what it printed."""
        done = subprocess.run(
            [LVSCTL, *arguments, "--url", f"unix:{self.socket}"],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


def director_command(state_dir: Path, *, shared: bool = True) -> list[str | Path]:
    """Return what starts a director in a state folder, whose shared token is made here.

    Args:
        state_dir: The folder.
        shared: Have the shared token accepted.
    """
    token_file = state_dir / "token"
    state_dir.mkdir(exist_ok=True)
    token_file.touch(0o600)
    token_file.write_text(TOKEN)
    flags = ("--ipvs", "memory", "--listen", "127.0.0.1:0", "--socket", state_dir / "s")
    accept = ("--token-file", token_file, "--shared-token-until", "2100-01-01") if shared else ()
    return [LVSCTL, "director", "run", *flags, "--state-dir", state_dir, *accept]


@contextmanager
def director_process(
    state_dir: Path,
    ends: int = 0,
    by: signal.Signals = signal.SIGTERM,
    flags: Sequence[str] = (),
    *,
    shared: bool = True,
) -> Iterator[DirectorProcess]:
    """Run a director; end it by a signal, which must give this status."""
    command = [*director_command(state_dir, shared=shared), *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            lines = (json.loads(line) for line in process.stderr)
            host, port = next(line["listen"] for line in lines if "listen" in line)
            yield DirectorProcess(host, port, state_dir / "s", state_dir / "token", process)
        finally:
            process.send_signal(by)
            status = process.wait()
    assert ends == status
