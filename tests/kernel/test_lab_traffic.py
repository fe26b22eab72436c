"""The lab's traffic, through a farm that is set up by hand with ip and ipvsadm."""

from collections import Counter

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.capture import Capture
from deploy.lab.client import (
    Answer,
    Stream,
    datagrams,
    download,
    request,
    requests,
    served_by,
    upload,
)
from deploy.lab.errors import LabError
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.packets import GRE, IPIP, IPV6, UDP, Packet, Tcp, TcpFlag, Udp
from deploy.lab.poll import poll
from deploy.lab.process import NodeProcess
from deploy.lab.topology import farm_topology, vip, vip6

VIP, VIP6 = vip(10), vip6(10)
_CUT = {"ConnectionRefusedError", "ConnectionResetError", "IncompleteReadError"}
SERVERS = ("rs1", "rs2", "rs3")
Farm = tuple[Network, dict[str, NodeProcess]]


@pytest.fixture
def farm(network: BuildNetwork) -> Farm:
    """Three real servers and a director that balances TCP 80, TCP 7 and UDP 7 over ipip."""
    built = network(farm_topology())
    applications = {}
    for name in SERVERS:
        _set_up_real_server(built[name])
        application = Application(name, udp_addresses=(VIP, VIP6))
        applications[name] = start_application(built[name], application)
    _set_up_director(built)
    return built, applications


def _set_up_real_server(server: Node) -> None:
    server.write_sysctl("net.ipv4.conf.all.arp_ignore", 1)
    server.write_sysctl("net.ipv4.conf.all.arp_announce", 2)
    server.write_sysctl("net.ipv4.conf.tunl0.rp_filter", 0)
    for device in ("tunl0", "gre0", "ip6tnl0"):
        server.set_link(device, up=True)
    server.add_address("tunl0", f"{VIP}/32")
    server.add_address("tunl0", f"{VIP6}/128")


def _set_up_director(built: Network) -> None:
    director = built["lb1"]
    director.add_address("lo", f"{VIP}/32")
    director.add_address("lo", f"{VIP6}/128")
    built["c1"].netlink.route(
        "replace", dst="2001:db8:51::/64", gateway=built.address("lb1", 6), family=10
    )
    rules = []
    for protocol, virtual, port in (("-t", VIP, 80), ("-t", VIP, 7), ("-u", VIP, 7)):
        rules.append(f"-A {protocol} {virtual}:{port} -s rr")
        for name in SERVERS:
            real = f"{built.address(name)}:{port}"
            rules.append(f"-a {protocol} {virtual}:{port} -r {real} -i -w 1")
    rules.append(f"-A -t [{VIP6}]:80 -s rr")
    rules += [f"-a -t [{VIP6}]:80 -r [{built.address(name, 6)}]:80 -i -w 1" for name in SERVERS]
    director.run(["ipvsadm", "-R"], input="\n".join(rules) + "\n")


def test_round_robin_over_tcp_and_udp(farm: Farm) -> None:
    """Thirty connections, and thirty datagrams, are ten for each; servers see the client."""
    network, _ = farm
    c1 = network["c1"]
    answers = requests(c1, VIP, count=30)
    even = Counter(dict.fromkeys(SERVERS, 10))
    assert even == served_by(answers)
    assert {"192.0.2.201"} == {answer.client for answer in answers}
    assert 30 == len({answer.port for answer in answers})
    assert even == served_by(datagrams(c1, VIP, count=30))
    assert even == served_by(requests(c1, VIP6, count=30))


def test_a_capture_sees_the_tunnel_and_the_direct_answer(farm: Farm) -> None:
    """The director sends DIP→RIP with CIP→VIP inside; the answer VIP→CIP does not pass it."""
    network, _ = farm
    lb1, rs1, c1 = network["lb1"], network["rs1"], network["c1"]
    with Capture(lb1) as at_director, Capture(rs1) as at_server, Capture(rs1, "tunl0") as inside:
        served_by(requests(c1, VIP, count=3))
        sent = [packet for packet in at_director.packets(outgoing=True) if packet.outer]
        assert {("192.0.2.10", network.address(name), IPIP) for name in SERVERS} == {
            (packet.outer.source, packet.outer.destination, packet.outer.protocol)
            for packet in sent
            if packet.outer
        }
        assert {("192.0.2.201", VIP)} == {packet.ip.ends for packet in sent}
        assert (VIP, "192.0.2.201") not in {packet.ip.ends for packet in at_director.packets()}
        (syn,) = [packet for packet in at_server.packets() if _is_syn(packet)]
        assert isinstance(syn.transport, Tcp)
        assert (80, 1460) == (syn.transport.destination_port, syn.transport.mss)
        answered = [packet.ip.ends for packet in at_server.packets(outgoing=True)]
        assert {(VIP, "192.0.2.201")} == set(answered)
        assert syn.ip in [packet.ip for packet in inside.packets()]
        times = [seen.at_s for seen in at_server.seen()]
        assert sorted(times) == times


@pytest.mark.parametrize(
    ("options", "protocol", "overhead"),
    [
        pytest.param([], IPIP, 20, id="ipip"),
        pytest.param(["--tun-type", "gre"], GRE, 24, id="gre"),
        pytest.param(["--tun-type", "gue", "--tun-port", "6080"], UDP, 32, id="gue"),
    ],
)
def test_each_tunnel_type_is_understood(
    farm: Farm, options: list[str], protocol: int, overhead: int
) -> None:
    """A capture finds the packet inside each of the kernel's tunnel types."""
    network, _ = farm
    network["rs1"].run(["ip", "fou", "add", "port", "6080", "gue"])
    lb1 = network["lb1"]
    lb1.run(["ipvsadm", "-D", "-t", f"{VIP}:80"])
    lb1.run(["ipvsadm", "-A", "-t", f"{VIP}:80", "-s", "rr"])
    lb1.run(["ipvsadm", "-a", "-t", f"{VIP}:80", "-r", "192.0.2.11:80", "-i", *options])
    with Capture(lb1) as capture:
        assert {"rs1": 1} == served_by(requests(network["c1"], VIP))
        (syn,) = [packet for packet in capture.packets() if _is_syn(packet) and packet.outer]
    assert syn.outer is not None
    assert ("192.0.2.10", "192.0.2.11", protocol) == (*syn.outer.ends, syn.outer.protocol)
    assert ("192.0.2.201", VIP) == syn.ip.ends
    assert overhead == syn.outer.length - syn.ip.length


def test_ipv6_in_ipv6_is_understood(farm: Farm) -> None:
    """A capture finds an IPv6 packet inside an IPv6 tunnel."""
    network, _ = farm
    with Capture(network["lb1"]) as capture:
        served_by(requests(network["c1"], VIP6, count=3))
        sent = [packet for packet in capture.packets(outgoing=True) if packet.outer]
    assert {IPV6} == {packet.outer.protocol for packet in sent if packet.outer}
    assert {("2001:db8:2::201", VIP6)} == {packet.ip.ends for packet in sent}


def test_datagrams_are_seen_with_their_length(farm: Farm) -> None:
    """A UDP datagram's ports and payload length are in the capture."""
    network, _ = farm
    with Capture(network["c1"]) as capture:
        served_by(datagrams(network["c1"], VIP))
        asked, answered = (
            packet.transport for packet in capture.packets() if isinstance(packet.transport, Udp)
        )
    assert (7, len("hello")) == (asked.destination_port, asked.length)
    assert (7, len("rs1 hello")) == (answered.source_port, answered.length)


def test_address_resolution_is_seen(farm: Farm) -> None:
    """Only the director answers the question who has the VIP."""
    network, _ = farm
    network["c1"].run(["ip", "neigh", "flush", "all"])
    with Capture(network["c1"]) as capture:
        served_by(requests(network["c1"], VIP))
        answers = [arp for arp in capture.arps() if arp.operation == 2 and arp.sender == VIP]
    mac = network["lb1"].netlink.get_links(ifname="eth0")[0].get("address")
    assert [mac] == [arp.sender_mac for arp in answers]


def test_large_transfers(farm: Farm) -> None:
    """Three megabytes pass either way through the service, and are counted."""
    network, _ = farm
    assert 3_000_000 == upload(network["c1"], VIP, 3_000_000)
    assert 3_000_000 == download(network["c1"], VIP, 3_000_000)


def test_a_stream_notices_its_end(farm: Farm) -> None:
    """A stream stays with its server, and is found broken when the server dies."""
    network, applications = farm
    with Stream(network["c1"], VIP) as stream:
        stream.check()
        applications[stream.server].kill()
        with pytest.raises(LabError, match=r"the stream from c1 to 198\.51\.100\.10 "):
            stream.check()


def test_load_is_steady_and_complete(farm: Farm) -> None:
    """A load makes exactly as many requests as asked for, at their times, and all are answered."""
    network, _ = farm
    with Load(network["c1"], VIP, per_s=100, for_s=2) as load:
        answers = load.finish()
    assert 200 == served_by(answers).total()
    begun = sorted(answer.at_s for answer in answers)
    assert 1.9 < begun[-1] - begun[0] < 3


def test_load_records_each_failure(farm: Farm) -> None:
    """When a server dies under load, the requests that it would have had fail, and no others."""
    network, applications = farm
    with Load(network["c1"], VIP, per_s=50) as load:
        poll(lambda: len(load.so_far()) > 10, 10)
        applications["rs2"].kill()
        poll(lambda: "ConnectionRefusedError" in _kinds(_failed(load.so_far())), 10)
        answers = load.stop()
    assert {"rs1", "rs3"} < {answer.server for answer in answers if answer.error is None}
    failed = _failed(answers)
    # One that was under way is reset, the later ones are refused.
    assert {"ConnectionRefusedError"} <= _kinds(failed) <= _CUT
    with pytest.raises(LabError, match=rf"of {len(answers)} requests {len(failed)} failed"):
        served_by(answers)


def test_what_nobody_answers_is_an_answer_with_an_error(farm: Farm) -> None:
    """A refused request, and one without an answer, end with what went wrong."""
    network, _ = farm
    refused = request(network["c1"], "192.0.2.11", 81)
    network["rs1"].set_link("eth0", up=False)
    lost = request(network["c1"], "192.0.2.11", timeout_s=0.2)
    assert refused.server is None
    assert "ConnectionRefusedError" in (refused.error or "")
    assert "timed out" in (lost.error or "")


def _failed(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.error]


def _kinds(failed: list[Answer]) -> set[str]:
    return {(answer.error or "").partition("(")[0] for answer in failed}


def _is_syn(packet: Packet) -> bool:
    return isinstance(packet.transport, Tcp) and packet.transport.flags == TcpFlag.SYN
