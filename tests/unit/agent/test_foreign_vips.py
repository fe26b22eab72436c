"""VIPs that somebody else has put on the host are used where they are, and left there."""

from ipaddress import ip_address, ip_interface

import pytest

from lvsctl.host.interface import AddressConfig, AddressKey, LinkConfig, LinkKey
from lvsctl.host.memory import Hardware, MemoryHost
from tests.unit.agent.bench import RIP, TUNL0, VIPS, Bench, assigned, vip_key

VIP6 = ip_address("2001:db8:51::10")
DEVICES = {
    "lo": LinkConfig("", up=True),
    "dummy0": LinkConfig("dummy", up=True),
    "vips": LinkConfig("ipip", up=True, local=RIP),
    "tunl0": LinkConfig("ipip", up=True),
}


def at(link: str, vip: object) -> AddressKey:
    return AddressKey(link, ip_interface(vip))  # type: ignore[arg-type]


@pytest.mark.parametrize("vip", [VIPS[0], VIP6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("device", DEVICES)
def test_is_used_and_never_removed(bench: Bench, device: str, vip: object) -> None:
    """Ready without a second address, also when it is assigned no more and after a leave."""
    bench.put(LinkKey(device), DEVICES[device])
    bench.put(at(device, vip), AddressConfig())
    assert (vip,) == bench.check(assigned(vip)).ready  # type: ignore[arg-type]
    here = [key for key in bench.memory.addresses() if key.address.ip == vip]
    assert [at(device, vip)] == here
    assert AddressConfig() == bench.memory.addresses()[at(device, vip)]
    bench.started()
    bench.check(assigned())
    bench.check(assigned(vip))  # type: ignore[arg-type]
    assert () == bench.server.undo()
    assert at(device, vip) in bench.memory.addresses()


def test_one_that_goes_is_put_on_the_tunnel(bench: Bench) -> None:
    """And one that comes beside ours changes nothing."""
    bench.put(LinkKey("lo"), DEVICES["lo"])
    bench.put(at("lo", VIPS[0]), AddressConfig())
    bench.check(assigned(VIPS[0]))
    bench.put(at("lo", VIPS[0]), None)
    assert (VIPS[0],) == bench.check(assigned(VIPS[0])).ready
    assert vip_key(VIPS[0]) in bench.memory.addresses()
    bench.put(at("lo", VIPS[0]), AddressConfig())
    bench.changes.clear()
    assert (VIPS[0],) == bench.check(assigned(VIPS[0])).ready
    assert [] == bench.changes
    assert () == bench.server.undo()
    assert [at("lo", VIPS[0])] == list(bench.memory.addresses())


@pytest.mark.parametrize("device", ["eth0", "down0"])
def test_one_where_it_is_no_use_is_put_on_the_tunnel_too(device: str) -> None:
    """On hardware, which is asked for its addresses, and on a device that is down."""
    bench = Bench(MemoryHost([Hardware("eth0")]))
    if device == "down0":
        bench.put(LinkKey(device), LinkConfig("dummy", up=False))
    bench.put(at(device, VIPS[0]), AddressConfig())
    assert (VIPS[0],) == bench.check(assigned(VIPS[0])).ready
    assert {at(device, VIPS[0]), vip_key(VIPS[0])} == {*bench.memory.addresses()}


def test_what_is_somebodys_own_is_not_served(bench: Bench) -> None:
    """The real server's address, another of its addresses, and its gateways; told, not done."""
    bench.put(at("eth0", f"{RIP}/24"), AddressConfig())
    bench.put(at("eth1", "10.0.0.7/24"), AddressConfig())
    other = ip_address("10.0.0.7")
    director = ip_address("10.0.0.9")
    bench.check(assigned(VIPS[0]))
    before = bench.memory.addresses()
    condition = bench.server.check(assigned(VIPS[0], RIP, other, director), (), [director])
    assert (VIPS[0],) == condition.ready
    assert before == bench.memory.addresses()
    assert {str(each) for each in (RIP, other, director)} == {
        finding.subject for finding in condition.findings
    }


def test_a_liar_takes_no_vip_out(bench: Bench) -> None:
    """A director's name that leads to a VIP, or a gateway that claims it, changes nothing."""
    bench.check(assigned(*VIPS[:2]))
    before = bench.memory.addresses()
    condition = bench.server.check(assigned(*VIPS[:2]), (), [VIPS[0]])
    assert (VIPS[:2], before) == (condition.ready, bench.memory.addresses())
    assert TUNL0.name in {key.link for key in before}
