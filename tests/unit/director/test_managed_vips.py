"""VIPs that lvsctl places itself: retried, withdrawn, and read from the host when needed."""

from ipaddress import ip_address, ip_interface

import pytest

from lvsctl.director.vips.interface import Placement, PlacementState
from lvsctl.director.vips.managed import ManagedVips
from lvsctl.director.vips.neighbours import NoNeighbours
from lvsctl.director.vips.plan import vip_key
from lvsctl.host.interface import AddressConfig, AddressKey, HostChange
from lvsctl.host.memory import Hardware
from lvsctl.store.memory import MemoryLocalState
from tests.support.hosts import RecordingHost

VIP, OTHER = ip_address("198.51.100.10"), ip_address("198.51.100.20")
PLACED = Placement(PlacementState.PLACED)
PENDING = Placement(PlacementState.PENDING)


@pytest.fixture
def host() -> RecordingHost:
    host = RecordingHost([Hardware("eth0")])
    host.apply([HostChange(AddressKey("eth0", ip_interface("192.0.2.10/24")), AddressConfig())])
    return host


@pytest.fixture
def vips(host: RecordingHost) -> ManagedVips:
    return ManagedVips(host, NoNeighbours(), MemoryLocalState())


def test_a_vip_waits_for_its_service(vips: ManagedVips) -> None:
    """It is pending until then, for no reason that a person must mend."""
    vips.ensure({VIP, OTHER}, {OTHER})
    assert {VIP: PENDING, OTHER: PLACED} == vips.holds()

    vips.ensure({VIP, OTHER}, {VIP, OTHER})
    assert {VIP: PLACED, OTHER: PLACED} == vips.holds()


def test_a_vip_that_was_withdrawn_comes_back_without_another_observation(
    host: RecordingHost, vips: ManagedVips
) -> None:
    """What this director itself has changed is known, or read again."""
    vips.observe({VIP}, host.addresses())
    vips.ensure({VIP}, {VIP})
    vips.ensure((), ())
    vips.ensure({VIP}, {VIP})

    assert vip_key(VIP) in host.addresses()
    assert {VIP: PLACED} == vips.holds()


def test_sets_that_ask_for_nothing_new_read_nothing(host: RecordingHost, vips: ManagedVips) -> None:
    """A service on a VIP that is in place costs no read of the addresses."""
    vips.ensure({VIP, OTHER}, {VIP, OTHER})
    reads = host.reads

    vips.ensure({VIP, OTHER}, {VIP})

    assert reads == host.reads


def test_a_vip_that_cannot_be_removed_keeps_its_service(
    host: RecordingHost, vips: ManagedVips
) -> None:
    """It says why, and is tried again once the host was observed."""
    vips.ensure({VIP}, {VIP})
    host.refused = {vip_key(VIP)}

    vips.ensure((), ())

    assert not vips.withdrawn(VIP)
    held = vips.holds()[VIP]
    assert PlacementState.WITHDRAWING is held.state
    assert f"{vip_key(VIP)} could not be removed" in held.reason
    host.refused = ()
    vips.observe((), host.addresses())
    vips.ensure((), ())
    assert vips.withdrawn(VIP)
    assert {} == vips.holds()


def test_a_vip_that_cannot_be_added_is_tried_again_at_the_next_observation(
    host: RecordingHost, vips: ManagedVips
) -> None:
    """The reason is the kernel's, and goes when it is there."""
    host.refused = {vip_key(VIP)}
    vips.ensure({VIP}, {VIP})
    held = vips.holds()[VIP]
    assert PlacementState.PENDING is held.state
    assert "could not be set" in held.reason

    host.refused = ()
    vips.observe({VIP}, host.addresses())
    vips.ensure({VIP}, {VIP})

    assert {VIP: PLACED} == vips.holds()


def test_what_was_handed_over_and_is_gone_is_placed_again(
    host: RecordingHost, vips: ManagedVips
) -> None:
    """Nothing that was known before counts, since others have managed it meanwhile."""
    vips.ensure({VIP}, {VIP})
    vips.hand_over()
    host.apply([HostChange(vip_key(VIP), None)])

    vips.ensure({VIP}, {VIP})

    assert vip_key(VIP) in host.addresses()
