"""Kernel parameters through /proc/sys.

Below /proc/sys/net a path means the network namespace of the thread that opens it.
"""

import errno
import os
from pathlib import Path

from lvsctl.errors import KernelError
from lvsctl.host.interface import SysctlConfig, SysctlKey
from lvsctl.results import Done, Failed, Result

ROOT = Path("/proc/sys")


def read(key: SysctlKey) -> SysctlConfig | None:
    """Return a parameter's value with single spaces between its fields, None for absent.

    Raises:
        KernelError: It exists and cannot be read.
    """
    path = _path(key)
    if path is None:
        return None
    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise KernelError(f"sysctl {key} cannot be read: {error.strerror}") from error
    return SysctlConfig(" ".join(text.split()))


def write(key: SysctlKey, config: SysctlConfig | None) -> Result:
    """Set a parameter; one that has the value already is not written.

    That is more than thrift: writing marks ``net.ipv4.conf.DEV.X`` as set by hand, and from then
    on it no longer follows ``net.ipv4.conf.default.X``.
    """
    present = read(key)
    if present == config:
        return Done()
    path = _path(key)
    if config is None:
        return Failed(errno.EPERM, f"sysctl {key} cannot be removed")
    if path is None or present is None:
        return Failed(errno.ENOENT, f"there is no sysctl {key}")
    try:
        with path.open("w") as file:
            file.write(config.value)
    except OSError as error:
        return Failed(error.errno or errno.EIO, f"sysctl {key}: {os.strerror(error.errno or 0)}")
    return Done()


def _path(key: SysctlKey) -> Path | None:
    if not key.path or any(part in {"", ".", ".."} or "/" in part for part in key.path):
        return None
    return ROOT.joinpath(*key.path)
