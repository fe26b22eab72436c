"""The server over TLS: what holds without it holds with it, and strangers at the handshake too."""

import contextlib
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
import trustme

from lvsctl.director.access.tls import ServerTls, server_tls
from lvsctl.errors import ConfigurationError
from tests.api.server.limited_director import running
from tests.support.director_process import LVSCTL, director_process


def issue(folder: Path, authority: trustme.CA) -> tuple[Path, Path]:
    """Write a certificate for loopback and its key; return their files."""
    issued = authority.issue_cert("127.0.0.1", "localhost")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.unlink(missing_ok=True)
    key.touch(0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    return certificate, key


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> tuple[Path, Path]:
    return issue(tmp_path, authority)


def serial(url: str, ca_file: Path) -> str:
    """Return the certificate that a director shows now."""
    host, port = url.removeprefix("http://").split(":")
    context = ssl.create_default_context(cafile=ca_file)
    with (
        socket.create_connection((host, int(port))) as connection,
        context.wrap_socket(connection, server_hostname=host) as wrapped,
    ):
        found = wrapped.getpeercert()
        assert found
        return str(found["serialNumber"])


def test_a_director_serves_tls_and_takes_another_certificate_without_a_restart(
    tmp_path: Path, authority: trustme.CA, files: tuple[Path, Path]
) -> None:
    """Plain HTTP gets no answer, another authority no trust; the UNIX socket stays plain."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    flags = ("--certificate", str(files[0]), "--key", str(files[1]))
    with director_process(tmp_path, flags=flags) as director:
        url = director.url.replace("http://", "https://")
        command = [LVSCTL, "service", "list", "--url", url, "--token-file", director.token_file]
        trusted, strange = (
            subprocess.run([*command, *more], capture_output=True, text=True, check=False)
            for more in (["--ca-file", ca_file], [])
        )
        assert (0, 1) == (trusted.returncode, strange.returncode), trusted.stderr
        assert "certificate verify failed" in strange.stderr
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{director.url}/healthz")
        refused = httpx.get(f"{url}/v1/farm", verify=ssl.create_default_context(cafile=ca_file))
        assert 401 == refused.status_code
        before = serial(director.url, ca_file)
        issue(tmp_path, authority)
        director.process.send_signal(signal.SIGHUP)
        while serial(director.url, ca_file) == before:
            assert director.process.poll() is None
        files[0].write_text("garbage")
        director.process.send_signal(signal.SIGHUP)
        assert 0 == director.lvsctl("service", "list")[0]
        assert before != serial(director.url, ca_file)


def test_connections_that_never_shake_hands_keep_nobody_out(
    tmp_path: Path, authority: trustme.CA, files: tuple[Path, Path]
) -> None:
    """Those that have to go are closed at once, and a client with a token is answered."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    flags = ("--certificate", str(files[0]), "--key", str(files[1]))
    with running(tmp_path, 256, flags) as director, contextlib.ExitStack() as stack:
        for _ in range(400):
            stranger = stack.enter_context(socket.socket())
            stranger.settimeout(5)
            stranger.connect(director.address)
        host, port = director.address
        answer = httpx.get(
            f"https://{host}:{port}/readyz", verify=ssl.create_default_context(cafile=ca_file)
        )
        assert 200 == answer.status_code


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((True, False), "--certificate and --key go together"),
        ((False, True), "--certificate and --key go together"),
    ],
)
def test_one_file_without_the_other_is_refused(
    files: tuple[Path, Path], flags: tuple[bool, bool], message: str
) -> None:
    """Before anything listens."""
    certificate, key = (file if given else None for file, given in zip(files, flags, strict=True))
    with pytest.raises(ConfigurationError, match=message):
        server_tls(certificate, key)


def test_a_key_that_others_can_read_is_refused(files: tuple[Path, Path]) -> None:
    """Whoever has it can stand in for the director."""
    files[1].chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"--key .*: others can read"):
        ServerTls(*files)


def test_files_that_are_none_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    """With the flags that name them."""
    files[0].write_text("garbage")
    with pytest.raises(ConfigurationError, match="--certificate"):
        ServerTls(*files)
    with pytest.raises(ConfigurationError, match="--key"):
        ServerTls(files[0], tmp_path / "missing")
    assert server_tls(None, None) is None
