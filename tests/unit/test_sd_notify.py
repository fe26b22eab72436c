"""What systemd is told, and when it is told nothing."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsctl.sd_notify import feed_watchdog, notify_ready, watchdog_s
from lvsctl.worker import Worker
from tests.unit.virtual_time import run


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        yield channel


def received(channel: socket.socket) -> list[bytes]:
    """Return what has been sent so far."""
    found = []
    while True:
        try:
            found.append(channel.recv(100))
        except BlockingIOError:
            return found


def test_ready_is_one_message(systemd: socket.socket) -> None:
    """The one of sd_notify(3)."""
    notify_ready()
    assert [b"READY=1"] == received(systemd)


@pytest.mark.parametrize("address", ["", "/nowhere", "@nobody"])
def test_nobody_need_listen(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A daemon that was not started by systemd tells nobody."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify_ready()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_systemds(environment: dict[str, str], expected: float | None) -> None:
    """Where it has one for this process."""
    assert expected == watchdog_s(environment)


def test_it_is_fed_while_both_threads_are_alive(systemd: socket.socket) -> None:
    """Four times in its patience; a thread that hangs lets it starve, and so does the loop."""
    hangs = asyncio.Event()

    async def is_alive() -> None:
        if asyncio.get_running_loop().time() >= 60:
            await hangs.wait()

    async def feed() -> None:
        feeding = asyncio.create_task(feed_watchdog(is_alive))
        await asyncio.sleep(600)
        feeding.cancel()

    run(feed())
    assert [b"WATCHDOG=1"] * 4 == received(systemd)


def test_without_a_watchdog_nothing_is_fed(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at once."""
    monkeypatch.delenv("WATCHDOG_USEC")
    run(feed_watchdog(lambda: asyncio.sleep(0)))
    assert [] == received(systemd)


def test_a_worker_responds_after_what_it_does_now() -> None:
    """Not while a call holds its thread."""
    order = []

    async def ask() -> None:
        worker = Worker("test")
        working = asyncio.create_task(worker.run(order.append, "call"))
        await asyncio.sleep(0)  # the call has been handed over
        await worker.responds()
        order.append("response")
        await working
        worker.close()

    asyncio.run(ask())
    assert ["call", "response"] == order
