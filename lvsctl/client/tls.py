"""Which certificates of directors are trusted."""

import ssl
from pathlib import Path

from lvsctl.errors import ConfigurationError


def trusting(ca_file: Path) -> ssl.SSLContext:
    """Return what trusts one certificate authority and no other.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"--ca-file {ca_file}: {error.strerror or error}") from error
