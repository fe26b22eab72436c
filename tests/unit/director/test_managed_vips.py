"""VIPs that lvsctl places itself: retried, withdrawn, and read from the host when needed."""

from ipaddress import ip_address, ip_interface

import pytest

from lvsctl.director.vips.detection import VALID_FOR_S, DuplicateDetection
from lvsctl.director.vips.interface import Placement, PlacementState
from lvsctl.director.vips.managed import ManagedVips
from lvsctl.director.vips.neighbours import NoNeighbours
from lvsctl.director.vips.plan import vip_key
from lvsctl.host.interface import AddressConfig, AddressKey, HostChange
from lvsctl.host.memory import Hardware
from lvsctl.reasons.services import DUPLICATE_CHECK, VIP_NOT_REMOVED, VIP_NOT_SET
from lvsctl.store.memory import MemoryLocalState
from tests.support.hosts import RecordingHost
from tests.support.neighbours import SlowNeighbours

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
    return ManagedVips(
        host, DuplicateDetection(NoNeighbours(), lambda _: None, lambda: 0.0), MemoryLocalState()
    )


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
    assert (VIP_NOT_REMOVED, str(vip_key(VIP))) == (held.reason.kind, held.reason.subject)
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
    assert VIP_NOT_SET is held.reason.kind

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


class Asking:
    """A placement whose neighbours answer later, on a clock that the test moves."""

    def __init__(self, host: RecordingHost) -> None:
        self.host = host
        self.neighbours = SlowNeighbours()
        self.now_s = 0.0
        self.changed: list[object] = []
        detection = DuplicateDetection(self.neighbours, self.changed.append, lambda: self.now_s)
        self.vips = ManagedVips(host, detection, MemoryLocalState())

    def cycle(self) -> Placement:
        """Observe this host and ensure the VIP."""
        self.vips.observe({VIP}, self.host.addresses())
        return self.ensure()

    def ensure(self) -> Placement:
        self.vips.ensure({VIP}, {VIP})
        return self.vips.holds()[VIP]


@pytest.fixture
def asking(host: RecordingHost) -> Asking:
    return Asking(host)


WAITING = Placement(PlacementState.PENDING, DUPLICATE_CHECK(VIP), passing=True)
QUESTION = {"eth0": [VIP]}


def test_nobody_waits_for_the_neighbours(asking: Asking) -> None:
    """The VIP is placed once they have answered, and that was announced."""
    assert WAITING == asking.ensure()
    assert ([], []) == (asking.changed, asking.neighbours.announced)

    asking.neighbours.answer()

    assert [[VIP]] == asking.changed
    assert PLACED == asking.ensure()
    assert ([QUESTION], [QUESTION]) == (asking.neighbours.asked, asking.neighbours.announced)


def test_a_question_is_asked_once(asking: Asking) -> None:
    """However many cycles there are before its answer."""
    assert [WAITING, WAITING, WAITING] == [asking.ensure(), asking.cycle(), asking.cycle()]
    assert [QUESTION] == asking.neighbours.asked


def test_a_vip_that_another_host_has_is_asked_for_at_each_observation(asking: Asking) -> None:
    """The problem stays until it is free, also while it is asked for again."""
    asking.ensure()
    asking.neighbours.answer({VIP: "02:00:00:00:00:99 on eth0"})
    taken = asking.ensure()
    assert "02:00:00:00:00:99 on eth0" == taken.reason.values["owner"]

    asking.vips.ensure({VIP}, {VIP, OTHER})
    assert [QUESTION] == asking.neighbours.asked
    assert taken == asking.cycle()
    assert [QUESTION, QUESTION] == asking.neighbours.asked
    asking.neighbours.answer()
    assert PLACED == asking.ensure()


def test_an_answer_that_has_grown_old_is_not_used(asking: Asking) -> None:
    """While the director was paused somebody may have given the VIP to another host."""
    asking.ensure()
    asking.neighbours.answer()
    asking.now_s += VALID_FOR_S

    assert WAITING == asking.ensure()
    assert [QUESTION, QUESTION] == asking.neighbours.asked


def test_a_question_that_is_never_answered_is_asked_again(asking: Asking) -> None:
    """The thread that asked may have failed."""
    asking.ensure()
    asking.now_s += VALID_FOR_S

    assert WAITING == asking.cycle()
    assert [QUESTION, QUESTION] == asking.neighbours.asked


def test_an_answer_for_a_vip_that_is_no_longer_wanted_places_nothing(asking: Asking) -> None:
    """It was removed from the farm meanwhile."""
    asking.ensure()
    asking.vips.ensure((), ())
    asking.neighbours.answer()

    asking.vips.ensure((), ())

    assert vip_key(VIP) not in asking.host.addresses()


def test_a_vip_that_moves_to_another_device_waits_for_the_answer_too(asking: Asking) -> None:
    """It stays on the old one meanwhile, and nothing but the answer is needed to go on."""
    vip6 = ip_address("2001:db8:2::10")
    asking.vips.ensure({vip6}, {vip6})
    asking.neighbours.answer()
    asking.vips.ensure({vip6}, {vip6})
    dip6 = AddressKey("eth0", ip_interface("2001:db8:2::1/64"))
    asking.host.apply([HostChange(dip6, AddressConfig())])
    asking.vips.observe({vip6}, asking.host.addresses())
    asking.vips.ensure({vip6}, {vip6})
    assert {vip6: PLACED} == asking.vips.holds()
    assert AddressKey("eth0", ip_interface(vip6)) not in asking.host.addresses()

    asking.neighbours.answer()
    asking.vips.ensure({vip6}, {vip6})

    assert AddressKey("eth0", ip_interface(vip6)) in asking.host.addresses()
