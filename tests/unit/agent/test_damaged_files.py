"""Every file of the agent's state folder, damaged in every way.

The host stays as it is, the agent lives or ends with a message that names the file, and one that
lives serves on and follows its director.
"""

import asyncio
import contextlib
import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsctl.agent import files
from lvsctl.agent.config import AgentConfig
from lvsctl.agent.leave_files import LeaveProgress, LeaveRequest
from lvsctl.agent.main import _address, _save_config
from lvsctl.agent.restored_state import restore_state
from lvsctl.errors import LvsctlError, StoreError
from lvsctl.host.interface import AddressConfig, AddressKey, HostChange, LinkConfig, LinkKey
from lvsctl.messages.model import Registration, TunnelEnd, TunnelMode
from tests.unit.agent.bench import RIP, VIPS
from tests.unit.agent.site import BOOT, Site
from tests.unit.virtual_time import run

FILES = (
    "assignments.json",
    "found.json",
    "tunnel-ends.json",
    "config.json",
    "status.json",
    "leave.json",
    "leave-progress.json",
    "lock",
)
END = TunnelEnd(
    tunnel="c2d",
    link="c2d",
    mode=TunnelMode.GRE,
    local=RIP,
    remote=ip_address("192.0.2.12"),
    addresses=(ip_interface("192.168.2.1/24"),),
)
CONFIG = AgentConfig(("http://lb1:8080",), ("web",), "rs2", RIP)

Damage = Callable[[Path, pytest.MonkeyPatch], None]


def replaced(content: bytes) -> Damage:
    return lambda path, _: _write(path, content)


def changed(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path, _: _write(path, change(path.read_bytes()))


def content(value: object) -> Damage:
    """Return what makes a file with a good digest hold something else."""
    return lambda path, _: files.write(path, value)


def _write(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def _flipped(place: float, raw: bytes) -> bytes:
    at = int(len(raw) * place)
    return raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :] if raw else b"\4"


def _directory(path: Path, _: pytest.MonkeyPatch) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def _link_to_itself(path: Path, _: pytest.MonkeyPatch) -> None:
    path.unlink()
    path.symlink_to(path)


def _link_away(path: Path, _: pytest.MonkeyPatch) -> None:
    target = path.parent.parent / "elsewhere"
    path.rename(target)
    path.symlink_to(target)


def _link_to_nothing(path: Path, _: pytest.MonkeyPatch) -> None:
    path.unlink()
    path.symlink_to(path.parent.parent / "nothing")


def _pipe(path: Path, _: pytest.MonkeyPatch) -> None:
    path.unlink()
    os.mkfifo(path)


def _huge(path: Path, _: pytest.MonkeyPatch) -> None:
    os.truncate(path, files.MAX_BYTES * 4)


def _failing(number: int, path: Path, patch: pytest.MonkeyPatch) -> None:
    """Let every attempt to open a file fail."""
    really_open = os.open

    def opened(name: object, *args: int, **kwargs: int) -> int:
        if os.fspath(name) == str(path):  # type: ignore[call-overload]
            raise OSError(number, os.strerror(number), str(path))
        return really_open(name, *args, **kwargs)  # type: ignore[arg-type]

    patch.setattr(os, "open", opened)


def _read_only(path: Path, patch: pytest.MonkeyPatch) -> None:
    """Mount the folder read-only, the file being damaged."""
    path.write_bytes(b"{")
    really_open = os.open

    def opened(name: object, flags: int, *args: int, **kwargs: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and str(path.parent) in str(name):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return really_open(name, flags, *args, **kwargs)  # type: ignore[arg-type]

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    patch.setattr(os, "open", opened)
    for name in ("link", "unlink", "rename", "replace"):
        patch.setattr(os, name, refused)


DAMAGES: dict[str, Damage] = {
    "empty": replaced(b""),
    "truncated": changed(lambda raw: raw[: len(raw) // 2]),
    "garbage": replaced(bytes(range(256)) * 100),
    "zeros": changed(lambda raw: bytes(len(raw))),
    "a bit at its start": changed(partial(_flipped, 0.0)),
    "a bit in the first half": changed(partial(_flipped, 0.4)),
    "a bit in the second half": changed(partial(_flipped, 0.7)),
    "a bit at its end": changed(partial(_flipped, 0.97)),
    "a list": content([1, 2]),
    "a text": content("hello"),
    "fields of other types": content(
        {"farms": 7, "boot": [], "lines": {}, "ends": 1, "name": 3, "directors": 3, "id": {}}
    ),
    "no JSON object": replaced(b"[]"),
    "nested deeply": replaced(b"[" * 100_000),
    "missing": lambda path, _: path.unlink(),
    "a directory": _directory,
    "a link to itself": _link_to_itself,
    "a link away": _link_away,
    "a link to nothing": _link_to_nothing,
    "a pipe": _pipe,
    "huge": _huge,
    "of a newer version": replaced(b'{"version": 99, "content": {}}'),
    "of another boot": changed(lambda raw: raw.replace(BOOT.encode(), b"boot 0")),
    "unreadable": partial(_failing, errno.EACCES),
    "on a broken disk": partial(_failing, errno.EIO),
    "damaged on a read-only disk": _read_only,
}


def served(site: Site) -> object:
    """Return what the host has."""
    memory = vars(site.memory)
    return {
        "addresses": dict(memory["_addresses"]),
        "links": dict(memory["_links"]),
        "sysctls": dict(vars(memory["_sysctls"])),
        "rules": dict(memory["_rules"]),
        "routes": dict(memory["_routes"]),
    }


async def serves_with_a_tunnel(site: Site) -> None:
    """Have an agent set up a host, end, and leave every file behind."""
    rip = AddressKey("eth0", ip_interface(f"{RIP}/24"))
    site.memory.apply([HostChange(LinkKey("eth0"), LinkConfig("", up=True))])
    site.memory.apply([HostChange(rip, AddressConfig())])
    site.director.tunnel_ends = (END,)
    async with site.running(3):
        pass
    assert "c2d" in site.memory.links()
    state = site.state
    state.save_config(CONFIG)
    state.leave.save_request(LeaveRequest("id", 1, force=False))
    state.leave.save_progress(LeaveProgress("id", ("line",)))
    assert state.lock.try_acquire()
    state.lock.release()
    assert {*FILES} == {path.name for path in site.folder.iterdir()}


async def restarted(site: Site) -> str:
    """Start the agent as the daemon does, and let it run without and with a director.

    Returns:
        Why it ended; empty while it lives.
    """
    state = site.state
    try:
        assert state.lock.try_acquire()
        config = replace(CONFIG, address=None, directors=("http://[::1",))
        record = restore_state(state, site.boot).record
        assert RIP == _address(config, state, site.memory, record)
        _save_config(state, CONFIG, Registration(RIP, ("web",)))
        site.director.goes_down()
        async with site.running(30):
            before = served(site)
            site.director.comes_back()
            await asyncio.sleep(30)
            assert before == served(site)
            assert site.director.reports
    except LvsctlError as error:
        return str(error)
    finally:
        state.lock.release()
    return ""


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_the_host_serves_on(
    site: Site, name: str, damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what the agent says when it ends names the place, or the flag that helps."""

    async def scenario() -> None:
        await serves_with_a_tunnel(site)
        before = served(site)
        assert {*VIPS[:2]} < {key.address.ip for key in site.memory.addresses()}
        with monkeypatch.context() as patch:
            damage(site.folder / name, patch)
            ended = await restarted(site)
        # Without the last configuration it cannot know its address while the director is away.
        assert not ended or str(site.folder) in ended or "--address" in ended
        assert before == served(site)

    run(scenario())


def test_there_are_enough() -> None:
    """The issue asks for 200 with the director's; these are the agent's."""
    assert len(FILES) * len(DAMAGES) >= 200


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_seen(tmp_path: Path, data: st.DataObject) -> None:
    """Wherever it is, the content is what was written, or refused."""
    path = tmp_path / "x.json"
    written = {"lines": [{"address": "198.51.100.10/32", "ours": True}], "boot": "abc"}
    files.write(path, written)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    with contextlib.suppress(StoreError):
        assert written == files.read(path)


def test_a_file_without_digest_is_read(tmp_path: Path) -> None:
    """As lvsctl 0.1 wrote it."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"version": 1, "content": {"a": 1}}))
    assert {"a": 1} == files.read(path)
