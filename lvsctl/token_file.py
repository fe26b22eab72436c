"""Files with a secret: the bearer token, and the password of a store."""

import os
import stat
from pathlib import Path

from lvsctl.errors import ConfigurationError

OPTION = "--token-file"
MINIMUM_TOKEN = 16
"""Characters; a shorter token could be guessed over the network."""
MAX_TOKEN = 1024
"""Bytes of the file, including white space."""


def read_token(path: Path) -> str:
    """Read a token from a file, without the white space around it.

    Raises:
        ConfigurationError: The file cannot be read, others can read it, or it holds no token.
    """
    content = _content(path)
    token = content.decode("ascii", "replace").strip()
    if len(content) > MAX_TOKEN:
        raise _refusal(path, f"it is longer than {MAX_TOKEN} bytes")
    if not all("!" <= character <= "~" for character in token):
        raise _refusal(path, "a token is printable ASCII without spaces")
    if len(token) < MINIMUM_TOKEN:
        raise _refusal(
            path,
            f"a token has at least {MINIMUM_TOKEN} characters; make one: "
            f"(umask 077; openssl rand -hex 32 > {path})",
        )
    return token


def read_password(path: Path, option: str) -> str:
    """Read a password from a file, without the line's end.

    Args:
        path: The file.
        option: That names it, for messages.

    Raises:
        ConfigurationError: The file cannot be read, others can read it, or it is empty.
    """
    content = _content(path, option)
    try:
        password = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise _refusal(path, "a password is UTF-8 text", option) from None
    if not password or len(content) > MAX_TOKEN:
        raise _refusal(path, f"a password has 1 to {MAX_TOKEN} bytes", option)
    return password


def is_token(text: str) -> bool:
    """Tell whether a text could be a token."""
    return MINIMUM_TOKEN <= len(text) <= MAX_TOKEN and all("!" <= each <= "~" for each in text)


def is_private(mode: int, group: int, own_group: int) -> bool:
    """Tell whether only its owner, root and this process can read or write a file.

    Its group may read it if that is root, as with systemd's LoadCredential, or the group of this
    process.
    """
    allowed = stat.S_IRGRP if group in (0, own_group) else 0
    shared = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
    return not mode & shared & ~allowed


def _content(path: Path, option: str = OPTION) -> bytes:
    """Return the first bytes of a file, after checking its permissions."""
    try:
        # Open before checking, so the checked file is the one read. O_NONBLOCK: a FIFO would hang.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _refusal(path, error.strerror or str(error), option) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _refusal(path, "it is not a regular file", option)
        if not is_private(found.st_mode, found.st_gid, os.getegid()):
            raise _refusal(
                path,
                f"others can read or write it (mode {stat.S_IMODE(found.st_mode):04o}), and "
                f"whoever knows its content can change the farm; chmod 0600 {path}",
                option,
            )
        return os.read(descriptor, MAX_TOKEN + 1)
    finally:
        os.close(descriptor)


def _refusal(path: Path, detail: str, option: str = OPTION) -> ConfigurationError:
    return ConfigurationError(f"{option} {path}: {detail}")
