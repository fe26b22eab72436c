"""Loading kernel modules."""

import contextlib
import socket
import subprocess


def load_module(module: str) -> None:
    """Ask for a module; whether it came is seen by whether what it brings is there.

    It may be built in, or loaded by somebody outside a container that has no modprobe.
    """
    with contextlib.suppress(OSError):
        subprocess.run(["modprobe", "-q", module], check=False, capture_output=True)


def load_module_of(device: str, module: str) -> None:
    """Ask for the module that brings a device, also as somebody who may not load modules.

    The kernel loads a module itself (``MODULE_ALIAS_NETDEV``) for whoever has CAP_NET_ADMIN and
    asks for a device that is missing by an ioctl (``dev_load``, net/core/dev_ioctl.c).
    """
    load_module(module)
    with contextlib.suppress(OSError):
        socket.if_nametoindex(device)
