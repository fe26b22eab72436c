"""The agent's disk is damaged, lost, full, or of another boot."""

import asyncio

import pytest

from lvsctl.agent import files
from lvsctl.host.interface import HostChange, LinkConfig, SysctlConfig
from lvsctl.messages.model import Severity
from tests.unit.agent.bench import TUNL0, VIPS, conf
from tests.unit.agent.site import Site, text
from tests.unit.virtual_time import run


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"version": 1, "content": {"farms": 7}}'])
def test_a_damaged_assignment_removes_nothing(site: Site, damage: bytes) -> None:
    """The VIPs that are there stay, with the director away too; the damage is told and kept."""

    async def scenario() -> None:
        async with site.running():
            serving = site.dump()
        site.folder.joinpath("assignments.json").write_bytes(damage)
        site.director.goes_down()
        async with site.running(60):
            assert serving == site.dump()
            assert [(Severity.BROKEN, "state folder")] == site.findings
            assert damage == site.folder.joinpath("assignments.json.damaged").read_bytes()
            site.director.comes_back()
            site.director.assign(VIPS[0])
            await asyncio.sleep(12)
            # VIPS[1] was assigned by somebody whom the file no longer names.
            assert text(*VIPS[:2]) == site.served
            assert VIPS[:2] == site.director.reports[-1][0].ready

    run(scenario())


def test_a_lost_assignment_removes_nothing(site: Site) -> None:
    """The file is gone, the record of what we added is not."""

    async def scenario() -> None:
        async with site.running():
            pass
        site.folder.joinpath("assignments.json").unlink()
        site.director.goes_down()
        async with site.running(60):
            assert text(*VIPS[:2]) == site.served

    run(scenario())


def test_a_damaged_record_is_told(site: Site) -> None:
    """The host serves on; a leave takes the VIPs and the device away, and says what it cannot."""

    async def scenario() -> None:
        async with site.running():
            serving = site.dump()
        site.folder.joinpath("found.json").write_text("{}")
        async with site.running():
            assert serving == site.dump()
            assert [(Severity.BROKEN, "state folder")] == site.findings
            assert (await site.leaves()).left
            assert [] == site.served
            assert LinkConfig("ipip", up=False, mtu=1480) == site.dump()[TUNL0]
            assert SysctlConfig("1") == site.dump()[conf("all", "arp_ignore")]

    run(scenario())


def test_an_assignment_that_cannot_be_saved_is_followed_and_told(site: Site) -> None:
    """A full disk takes nothing out of service, and is reported until it is over."""

    async def scenario() -> None:
        async with site.running():
            obstacle = site.folder / "assignments.json.new"
            obstacle.mkdir()
            site.director.assign(VIPS[0])
            await asyncio.sleep(1)
            assert text(VIPS[0]) == site.served
            assert [(Severity.BROKEN, "state folder")] == site.findings
            obstacle.rmdir()
            await asyncio.sleep(6)
            assert [] == site.findings
            assert (VIPS[0],) == site.state.assignments().vips

    run(scenario())


def test_a_record_of_another_boot_is_void(site: Site) -> None:
    """After a reboot the host is found anew, and left as it then was."""

    async def scenario() -> None:
        async with site.running():
            pass
        site.reboots()
        site.memory.apply([HostChange(conf("all", "rp_filter"), SysctlConfig("1"))])
        found = site.dump()
        async with site.running():
            assert text(*VIPS[:2]) == site.served
            assert [] == site.findings
            assert (await site.leaves()).left
            assert found == site.dump()

    run(scenario())


@pytest.mark.parametrize("vip", ["127.0.0.1", "224.0.0.1", "::1", "fe80::1", "fe80::1%eth0"])
def test_what_an_earlier_version_kept_is_screened(site: Site, vip: str) -> None:
    """A VIP that no host can have neither ends the agent nor comes onto the host."""

    async def scenario() -> None:
        async with site.running():
            serving = site.dump()
        path = site.folder / "assignments.json"
        kept = files.read(path)
        kept["farms"][0]["vips"].append(vip)  # type: ignore[index]
        files.write(path, kept)
        site.director.goes_down()
        async with site.running(60):
            assert serving == site.dump()
            assert text(*VIPS[:2]) == site.served
            assert [(Severity.BROKEN, "state folder")] == site.findings
            assert vip in site.folder.joinpath("assignments.json.damaged").read_text()
        async with site.running(60):
            assert text(*VIPS[:2]) == site.served
            assert [] == site.findings

    run(scenario())
