"""IPv6 VIPs on the director: a client's packets find them, and nothing is lost or left behind.

The real servers are set up by hand.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.capture import Capture
from deploy.lab.client import requests, served_by
from deploy.lab.daemons import FarmDaemons
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.packets import IPV6, Advertisement
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology, vip6
from lvsctl.director.loop import TIMER_S
from tests.kernel.farms import farm, service, start

ON_LINK = "2001:db8:2::a:10"
ROUTED = vip6(10)
SERVERS = ("rs1", "rs2")
BY_THE_TIMER_S = 3 * TIMER_S


def serve(network: Network, state: Path, vip: str, family: int = 6) -> FarmDaemons:
    """Start a director whose servers decapsulate IPv6 in packets of a family."""
    for name in SERVERS:
        network[name].set_link("ip6tnl0" if family == 6 else "sit0", up=True)
        network[name].add_address("lo", f"{vip}/128")
        start_application(network[name], Application(name))
    servers = [{"name": name, "address": network.address(name, family)} for name in SERVERS]
    document = farm([service(vip=vip)], [{"name": "web", "real_servers": servers}])
    return start(network, state, document, servers=())


def devices(director: Node, vip: str) -> dict[str, bool]:
    """Return the devices that have an address, and whether it is deprecated there."""
    listed = director.run(["ip", "-6", "-o", "address", "show", "to", f"{vip}/128"]).stdout
    return {line.split()[1]: " deprecated " in line for line in listed.splitlines()}


@pytest.mark.parametrize("family", [6, 4])
@pytest.mark.parametrize(("vip", "device"), [(ON_LINK, "eth0"), (ROUTED, "lvs0")])
def test_a_client_reaches_an_ipv6_vip(
    network: BuildNetwork, tmp_path: Path, vip: str, device: str, family: int
) -> None:
    """On-link and behind a router; requests spread evenly and the outer source is the DIP."""
    on_link = device == "eth0"
    built = network(farm_topology(real_servers=2, client_on_link=on_link, vips_on_link=on_link))
    with Capture(built["c1"]) as at_client:
        serve(built, tmp_path, vip, family)
        announced = [
            packet.ip.source
            for packet in at_client.packets()
            if isinstance(packet.transport, Advertisement) and vip == packet.transport.target
        ]

    with Capture(built["lb1"]) as capture:
        answers = requests(built["c1"], vip, count=20)
        sent = [packet.outer for packet in capture.packets(outgoing=True) if packet.outer]

    assert Counter(dict.fromkeys(SERVERS, 10)) == served_by(answers)
    assert {(built.address("lb1", family), IPV6)} == {(each.source, each.protocol) for each in sent}
    assert {built.address(name, family) for name in SERVERS} == {each.destination for each in sent}
    assert {device: True} == devices(built["lb1"], vip)
    assert [vip] * on_link == announced


def test_a_duplicate_is_seen_and_the_vip_added_once_it_is_gone(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """A server that has the VIP on its link keeps the director from adding it, with the reason."""
    built = network(farm_topology(real_servers=2))
    built["rs1"].add_address("eth0", f"{ON_LINK}/128")

    daemons = serve(built, tmp_path, ON_LINK)

    assert "answers neighbour solicitations" in str(daemons.api.get("/v1/plan")["problems"])
    assert {} == devices(built["lb1"], ON_LINK)
    built["rs1"].delete_address("eth0", f"{ON_LINK}/128")
    poll(lambda: devices(built["lb1"], ON_LINK), BY_THE_TIMER_S)


def test_a_vip_goes_with_its_service(network: BuildNetwork, tmp_path: Path) -> None:
    """Nothing of it is left on the director."""
    built = network(farm_topology(real_servers=2))
    daemons = serve(built, tmp_path, ON_LINK)

    daemons.api.put("/v1/farm?wait=5&force=true", {"services": [], "pools": []})

    assert {} == devices(built["lb1"], ON_LINK)
    assert "" == built["lb1"].run(["ipvsadm", "-Sn"]).stdout


def test_a_killed_director_and_a_moving_vip_lose_nothing(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Under load: killed and started again, and the network around the VIP comes and goes."""
    built = network(farm_topology(real_servers=2))
    director = built["lb1"]
    daemons = serve(built, tmp_path, ROUTED)
    # The client asks for it on the link; its entry stands until the VIP is answered for there.
    where = director.netlink.link("get", ifname="eth0")[0].get("address")
    entry = ["dev", "eth0", "lladdr", where, "nud", "permanent"]
    built["c1"].run(["ip", "neighbour", "replace", ROUTED, *entry])
    around = "2001:db8:51::d:10/64"

    def until_on(device: str) -> Callable[[dict[str, bool]], bool]:
        return lambda found: found == {device: True}

    with Load(built["c1"], ROUTED, per_s=50, for_s=60, timeout_s=10) as load:
        poll(lambda: len(load.so_far()) > 20, 30)
        assert daemons.director is not None
        daemons.director.kill()
        assert {"lvs0": True} == devices(director, ROUTED)
        daemons.start_director()
        director.add_address("eth0", around)
        poll(lambda: devices(director, ROUTED), BY_THE_TIMER_S, until=until_on("eth0"))
        director.delete_address("eth0", around)
        poll(lambda: devices(director, ROUTED), BY_THE_TIMER_S, until=until_on("lvs0"))
        at_end = len(load.so_far())
        poll(lambda: len(load.so_far()) > at_end + 20, 30)
        answers = load.stop()

    assert [] == [answer for answer in answers if answer.error]
