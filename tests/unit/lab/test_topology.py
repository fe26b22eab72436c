"""The farm's network as declared, before it is built."""

from ipaddress import ip_address, ip_interface, ip_network

from hypothesis import given
from hypothesis import strategies as st

from deploy.lab.network import Topology
from deploy.lab.topology import farm_topology, vip, vip6

topologies = st.builds(
    farm_topology,
    directors=st.integers(0, 2),
    real_servers=st.integers(0, 9),
    far_real_servers=st.integers(0, 9),
    client_on_link=st.booleans(),
    vips_on_link=st.booleans(),
    client_addresses=st.integers(1, 50),
)


@given(topologies)
def test_each_address_is_one_hosts(topology: Topology) -> None:
    """No address is given twice, and none is outside of the documentation's prefixes."""
    addresses = [
        ip_interface(address)
        for host in topology.hosts
        for interface in host.interfaces
        for address in interface.addresses
    ]
    assert len(addresses) == len({address.ip for address in addresses})
    prefixes = [
        ip_network(prefix) for prefix in ("192.0.2.0/24", "203.0.113.0/24", "2001:db8::/32")
    ]
    assert all(any(address.ip in prefix for prefix in prefixes) for address in addresses)


@given(topologies)
def test_each_gateway_is_on_a_link_of_its_user(topology: Topology) -> None:
    """A route's gateway is in a prefix that the host itself is in, so the kernel accepts it."""
    for host in topology.hosts:
        own = [ip_interface(a).network for i in host.interfaces for a in i.addresses]
        for route in host.routes:
            assert route.via is None or any(ip_address(route.via) in prefix for prefix in own)


def test_names_and_addresses_are_those_of_the_drawing() -> None:
    """The hosts of the largest standard network have the addresses that tests write down."""
    topology = farm_topology(directors=2, far_real_servers=1, client_on_link=False)
    expected = {
        "r1": ["192.0.2.1", "203.0.113.1", "203.0.113.129"],
        "c1": ["203.0.113.201"],
        "lb1": ["192.0.2.10"],
        "lb2": ["192.0.2.20"],
        "rs1": ["192.0.2.11"],
        "rs2": ["192.0.2.12"],
        "rs3": ["192.0.2.13"],
        "rs4": ["203.0.113.14"],
    }
    assert expected == {host.name: topology.addresses(host.name) for host in topology.hosts}
    assert "2001:db8:113::14" == topology.address("rs4", 6)
    assert ("198.51.100.10", "2001:db8:51::10") == (vip(10), vip6(10))
    assert ("farm", "far", "clients") == topology.links
