"""Messages to systemd: the service is ready, and its threads are alive (sd_notify(3))."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

_MICROSECONDS = 1_000_000


def notify_ready() -> None:
    """Tell systemd that the start is over, where it asked to be told."""
    notify("READY=1")


def notify(state: str) -> None:
    """Send one assignment to systemd, where it asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.sendto(state.encode(), address)


def watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Return after how long without a message systemd restarts this process, None for never."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # it was meant for a parent
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / _MICROSECONDS if text.isdecimal() and int(text) else None


async def feed_watchdog(is_alive: Callable[[], Awaitable[object]]) -> None:
    """Tell systemd for ever that this event loop runs and that ``is_alive`` returns.

    One that hangs, hangs this too: then systemd kills the process and starts it anew, which leaves
    the kernel as it is.
    """
    patience_s = watchdog_s(os.environ)
    if patience_s is None:
        return
    while True:
        await is_alive()
        notify("WATCHDOG=1")
        await asyncio.sleep(patience_s / 4)
