"""Word to systemd that the agent serves (sd_notify(3))."""

import contextlib
import os
import socket


def notify_ready() -> None:
    """Tell systemd that the start is over, where it asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.sendto(b"READY=1", address)
