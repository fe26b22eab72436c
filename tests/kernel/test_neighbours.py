"""Who has an address on the link, and telling the link that it is here."""

import time
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from deploy.lab.capture import Capture
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.node import Node
from deploy.lab.packets import Advertisement, Solicitation
from deploy.lab.topology import farm_topology, vip
from lvsctl.director.vips.neighbours import PROBE_INTERVAL_S, PROBES, LinkNeighbours

VIP, OTHER_VIP = vip(10), vip(20)
VIP6, OTHER_VIP6 = "2001:db8:2::a:10", "2001:db8:2::a:20"
LINKS = ("eth0", "lo", "gone0")


def mac(node: Node) -> str:
    """Return the hardware address of a node."""
    return str(node.netlink.link("get", ifname="eth0")[0].get("address"))


def test_names_the_host_that_answers_for_an_address(network: BuildNetwork) -> None:
    """A server with the VIP and arp_ignore 0 answers; one with arp_ignore 1 does not.

    With IPv6, one that has it on its link answers, and one that has it on lo does not. Both
    families are asked for together.
    """
    built = network(farm_topology(real_servers=2))
    built["rs1"].add_address("lo", f"{VIP}/32")
    built["rs2"].add_address("lo", f"{OTHER_VIP}/32")
    built["rs2"].write_sysctl("net.ipv4.conf.all.arp_ignore", 1)
    built["rs1"].add_address("lo", f"{OTHER_VIP6}/128")
    built["rs2"].add_address("eth0", f"{VIP6}/128")
    asked = [ip_address(each) for each in (VIP, OTHER_VIP, VIP6, OTHER_VIP6)]

    with built["lb1"].enter():
        began = time.monotonic()
        found = LinkNeighbours().owners(dict.fromkeys(LINKS, asked))
        took_s = time.monotonic() - began

    assert {
        IPv4Address(VIP): f"{mac(built['rs1'])} on eth0",
        IPv6Address(VIP6): f"{mac(built['rs2'])} on eth0",
    } == found
    assert PROBES * PROBE_INTERVAL_S <= took_s < 3 * PROBES * PROBE_INTERVAL_S


def test_a_solicitation_is_that_of_a_host_about_to_take_the_address(network: BuildNetwork) -> None:
    """It comes from nowhere, goes to the solicited-node group and tells no link address."""
    built = network(farm_topology(real_servers=1))

    with Capture(built["rs1"]) as capture, built["lb1"].enter():
        LinkNeighbours().owners({"eth0": [IPv6Address(VIP6)]})
        seen = [
            packet.ip.ends
            for packet in capture.packets(outgoing=False)
            if isinstance(packet.transport, Solicitation) and VIP6 == packet.transport.target
        ]

    assert [("::", "ff02::1:ff0a:10")] * PROBES == seen


def test_our_own_second_device_on_the_link_is_nobody_else(network: BuildNetwork) -> None:
    """A host that is asked by itself, through another device, does not find itself."""
    built = network(farm_topology(real_servers=0))
    director = built["lb1"]
    director.run(["ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan", "mode", "bridge"])
    director.set_link("mv0", up=True)
    director.add_address("mv0", "2001:db8:2::b/64")
    director.add_address("eth0", f"{VIP6}/128")

    with director.enter():
        found = LinkNeighbours().owners({"eth0": [], "mv0": [IPv6Address(VIP6)]})

    assert {} == found


@pytest.mark.parametrize("address", [VIP, VIP6])
def test_an_announcement_turns_the_clients_to_the_new_host(
    network: BuildNetwork, address: str
) -> None:
    """A client that has the old host in its table has the new one after the announcement."""
    built = network(farm_topology(directors=2, real_servers=0))
    client = built["c1"]
    old = mac(built["lb1"])
    entry = ["dev", "eth0", "lladdr", old, "nud", "reachable"]
    client.run(["ip", "neighbour", "replace", address, *entry])

    with built["lb2"].enter(), Capture(client) as capture:
        LinkNeighbours().announce({link: [ip_address(address)] for link in LINKS})
        arps = [arp for arp in capture.arps() if address == arp.sender]
        advertised = [
            (packet.ip.destination, packet.transport.link_address, packet.transport.override)
            for packet in capture.packets()
            if isinstance(packet.transport, Advertisement) and address == packet.transport.target
        ]

    expected = [("ff02::1", mac(built["lb2"]), True)] if ":" in address else []
    assert expected == advertised
    assert 1 == len(arps) + len(advertised)
    assert mac(built["lb2"]) in client.run(["ip", "neighbour", "show", address]).stdout
