"""Readiness and watchdog notifications to systemd (sd_notify(3))."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

_MICROSECONDS = 1_000_000


def notify_ready() -> None:
    """Tell systemd that start-up has finished."""
    notify("READY=1")


def notify(state: str) -> None:
    """Send a notification to systemd; does nothing without NOTIFY_SOCKET."""
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
    """Return the watchdog timeout of this process; None without a watchdog."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # inherited from a parent process
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / _MICROSECONDS if text.isdecimal() and int(text) else None


async def feed_watchdog(is_alive: Callable[[], Awaitable[object]]) -> None:
    """Feed the watchdog while this event loop runs and ``is_alive`` returns.

    If either hangs, so does this: systemd then restarts the process, which leaves the kernel as it
    is.
    """
    patience_s = watchdog_s(os.environ)
    if patience_s is None:
        return
    while True:
        await is_alive()
        notify("WATCHDOG=1")
        await asyncio.sleep(patience_s / 4)
