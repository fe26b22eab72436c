"""Who has an address on the link, and telling the link that it is here."""

from ipaddress import IPv4Address

from deploy.lab.capture import Capture
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.node import Node
from deploy.lab.topology import farm_topology, vip
from lvsctl.director.neighbours import ArpNeighbours

VIP, OTHER_VIP = vip(10), vip(20)
LINKS = ("eth0", "lo", "gone0")


def mac(node: Node) -> str:
    """Return the hardware address of a node."""
    return str(node.netlink.link("get", ifname="eth0")[0].get("address"))


def test_names_the_host_that_answers_for_an_address(network: BuildNetwork) -> None:
    """A server with the VIP and arp_ignore 0 answers; one with arp_ignore 1 does not."""
    built = network(farm_topology(real_servers=2))
    built["rs1"].add_address("lo", f"{VIP}/32")
    built["rs2"].add_address("lo", f"{OTHER_VIP}/32")
    built["rs2"].write_sysctl("net.ipv4.conf.all.arp_ignore", 1)

    with built["lb1"].enter():
        found = ArpNeighbours().owners([IPv4Address(VIP), IPv4Address(OTHER_VIP)], LINKS)

    assert {IPv4Address(VIP): f"{mac(built['rs1'])} on eth0"} == found


def test_an_announcement_turns_the_clients_to_the_new_host(network: BuildNetwork) -> None:
    """A client that has the old host in its ARP table has the new one after the announcement."""
    built = network(farm_topology(directors=2, real_servers=0))
    client = built["c1"]
    old = mac(built["lb1"])
    entry = ["dev", "eth0", "lladdr", old, "nud", "reachable"]
    client.run(["ip", "neighbour", "replace", VIP, *entry])

    with built["lb2"].enter(), Capture(client) as capture:
        ArpNeighbours().announce([IPv4Address(VIP)], LINKS)
        announced = [arp for arp in capture.arps() if VIP == arp.sender]

    assert 1 == len(announced)
    assert mac(built["lb2"]) in client.run(["ip", "neighbour", "show", VIP]).stdout
