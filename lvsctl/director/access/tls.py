"""TLS of the REST API over TCP: the certificate, which can be replaced while the director runs."""

import os
import ssl
import stat
from pathlib import Path

import structlog

from lvsctl.errors import ConfigurationError
from lvsctl.token_file import is_private

log = structlog.get_logger(__name__)


class ServerTls:
    """What new connections are given; lives on the director's event loop.

    Args:
        certificate: File with the certificate and those that lead to its authority, PEM.
        key: File with its private key, PEM.

    Raises:
        ConfigurationError: They cannot be used, or others can read the key.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self.context = self._load()

    def reload(self) -> None:
        """Use the files as they are now; where they cannot be used, go on with what there was."""
        try:
            self.context = self._load()
        except ConfigurationError as error:
            log.warning("certificate not reloaded", reason=str(error))
        else:
            log.info("certificate reloaded", file=str(self._certificate))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _refuse_shared(self._key)
        try:
            context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            why = error.strerror or str(error)
            raise ConfigurationError(
                f"--certificate {self._certificate} with --key {self._key}: {why}"
            ) from error
        return context


def _refuse_shared(key: Path) -> None:
    try:
        found = key.stat()
    except OSError as error:
        raise ConfigurationError(f"--key {key}: {error.strerror}") from error
    if not is_private(found.st_mode, found.st_gid, os.getegid()):
        raise ConfigurationError(
            f"--key {key}: others can read or write it (mode {stat.S_IMODE(found.st_mode):04o}), "
            f"and whoever has it can stand in for the director; chmod 0600 {key}"
        )


def server_tls(certificate: Path | None, key: Path | None) -> ServerTls | None:
    """Return what the flags ask for; None for plain HTTP.

    Raises:
        ConfigurationError: One is there without the other, or they cannot be used.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigurationError("--certificate and --key go together: give both, or neither")
    return ServerTls(certificate, key)
