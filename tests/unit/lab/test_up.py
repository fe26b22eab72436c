"""The scene and the shell, as a person has them."""

import os
import pty
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from deploy.lab.guest import CHECKOUT
from deploy.lab.poll import poll

LAB = (sys.executable, "-m", "deploy.lab")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_scene_is_reached_from_the_host(number: signal.Signals) -> None:
    """When it says so, lb1 answers at the loopback; however the launcher ends, that is over."""
    port = _unused_port()
    command = [*LAB, "up", "--port", str(port)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as launcher:
        try:
            assert launcher.stdout is not None
            assert any(
                f"director is at http://127.0.0.1:{port}/" in line for line in launcher.stdout
            )
            assert 200 == _http_status(port)
        finally:
            launcher.send_signal(number)
            launcher.wait(30)
    poll(lambda: _refuses(port), 15)


def test_a_port_that_is_taken_is_told() -> None:
    """Where somebody listens at the port already, the cure is in the message."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [*LAB, "up", "--port", str(port)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert f"port {port} of 127.0.0.1 cannot be had" in done.stderr
    assert "choose another with --port" in done.stderr


def test_a_shell_is_a_terminal() -> None:
    """What is typed is run by a shell in the guest; its exit status is the command's."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(CHECKOUT)
        os.execv(LAB[0], [*LAB, "shell"])  # noqa: S606
    said = b""
    while b"# " not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, b"tty; echo $LAB $((6 * 7)); exit 3\n")
    while block := _read(terminal):
        said += block
    _, status = os.waitpid(pid, 0)
    assert 3 == os.waitstatus_to_exitcode(status)
    assert b"/dev/tty1\r\nguest 42\r\n" in said


def test_a_shell_without_a_terminal_is_refused() -> None:
    """Without a terminal the message names the command that does not need one."""
    command = [*LAB, "shell"]
    done = subprocess.run(
        command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert 1 == done.returncode
    assert "deploy.lab exec -- CMD" in done.stderr


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _http_status(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
        return int(answer.status)


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1024)
    except OSError:  # the other side has closed it
        return b""
