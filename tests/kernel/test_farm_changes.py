"""What people change, over REST and by hand, while clients are connected."""

import itertools
from pathlib import Path

from deploy.lab.capture import Capture
from deploy.lab.client import Stream, requests, served_by
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.network import Network
from deploy.lab.packets import Packet
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology, vip
from lvsctl.director.loop import TIMER_S
from tests.kernel.farms import OTHER_VIP, SERVERS, VIP, declared, farm, service, start

BY_THE_TIMER_S = 3 * TIMER_S
ECHO = service(ports=[80, 7])
"""HTTP for counting, and the stream that stays open."""


def saved(network: Network) -> str:
    """Return the director's table as ipvsadm saves it."""
    return network["lb1"].run(["ipvsadm", "-Sn"]).stdout


def lines(text: str) -> list[str]:
    """Return the lines of a saved table in an order that does not depend on the kernel's."""
    return sorted(text.splitlines())


def test_weight_scheduler_and_flags_change_in_place(network: BuildNetwork, tmp_path: Path) -> None:
    """Each PATCH arrives in the kernel, and an established connection lives through all."""
    built = network(farm_topology())
    weights = dict.fromkeys(SERVERS, 100)
    daemons = start(built, tmp_path, farm([ECHO], [declared(built, SERVERS, weights)]))
    api = daemons.api

    with Stream(built["c1"], VIP) as stream:
        rs1 = f"-r {built.address('rs1')}:80 -i -w 7"
        answer = api.patch("/v1/pools/web/real-servers/rs1?wait=5", {"weight": 7})
        assert answer["applied"] is True
        assert rs1 in saved(built)
        stream.check()
        for change, expected in (
            ({"scheduler": "wrr"}, f"-A -t {VIP}:80 -s wrr"),
            ({"scheduler": "mh"}, f"-A -t {VIP}:80 -s mh -b mh-fallback,mh-port"),
            ({"flags": []}, f"-A -t {VIP}:80 -s mh"),
            ({"persistence": {"timeout": "60s", "netmask": 32}}, "-p 60"),
        ):
            answer = api.patch("/v1/services/web?wait=5", change)
            assert answer["applied"] is True
            assert expected in saved(built)
            stream.check()


def test_a_changed_vip_serves_before_the_old_one_is_gone(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Under load on both, the first packet for the new one is tunnelled before the old one ends."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    client = built["c1"]

    with (
        Capture(built["lb1"]) as capture,
        Load(client, VIP, per_s=50, timeout_s=5) as old,
        Load(client, OTHER_VIP, per_s=50, timeout_s=5) as new,
    ):
        daemons.api.patch("/v1/services/web", {"vip": OTHER_VIP})
        poll(lambda: [answer for answer in new.so_far() if answer.server], 30)
        poll(lambda: f"{VIP}:80" not in saved(built), BY_THE_TIMER_S)
        first = min(tunnelled(capture, OTHER_VIP))
        last = max(tunnelled(capture, VIP))
        begun = sorted(answer.at_s for answer in [*old.stop(), *new.stop()])

    # What the client did not ask cannot be told apart.
    silence = max(after - before for before, after in itertools.pairwise(begun))
    assert first < last + silence + 2 / 50
    hosts = [*SERVERS, "lb1"]
    poll(lambda: not any(has_address(built, name, VIP) for name in hosts), BY_THE_TIMER_S)
    assert set(SERVERS) == set(served_by(requests(client, OTHER_VIP, count=30)))


def tunnelled(capture: Capture, address: str) -> list[float]:
    """Return when packets for a VIP were tunnelled."""
    return [
        seen.at_s
        for seen in capture.seen()
        if isinstance(seen.packet, Packet)
        and seen.packet.outer
        and seen.packet.ip.destination == address
    ]


def has_address(network: Network, node: str, address: str) -> bool:
    """Say whether any device of a node has an address."""
    return f" {address}/" in network[node].run(["ip", "-o", "address"]).stdout


EVERYTHING = "-C"
BY_HAND = (
    "-D -t {}",
    "-E -t {} -s lc",
    "-e -t {} -r 192.0.2.11:80 -i -w 1",
    "-a -t {} -r 192.0.2.99:80 -i -w 1",
    "-d -t {} -r 192.0.2.11:80",
)


def test_what_is_changed_by_hand_is_put_right(network: BuildNetwork, tmp_path: Path) -> None:
    """Whatever is done to a service of ours, by the next timer the table is as before."""
    built = network(farm_topology())
    vips = [vip(number) for number in range(10, 10 + len(BY_HAND))]
    start(built, tmp_path, farm([service(f"web{n}", vip=each) for n, each in enumerate(vips)]))
    before = lines(saved(built))
    each_to_its_own = [done.format(f"{each}:80") for done, each in zip(BY_HAND, vips, strict=True)]

    for by_hand in ([EVERYTHING], each_to_its_own):
        for done in by_hand:
            built["lb1"].run(["ipvsadm", *done.split()])

        poll(lambda: lines(saved(built)), BY_THE_TIMER_S, until=lambda now: now == before)


def test_a_service_added_by_hand_is_reported_and_untouched(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Also across a restart of the director; it shows as foreign in the plan."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    lb1 = built["lb1"]
    lb1.run(["ipvsadm", "-A", "-t", f"{OTHER_VIP}:25", "-s", "lc"])
    lb1.run(["ipvsadm", "-a", "-t", f"{OTHER_VIP}:25", "-r", "192.0.2.77:25", "-g", "-w", "3"])
    by_hand = [line for line in saved(built).splitlines() if OTHER_VIP in line]

    for _ in range(2):
        foreign = poll(lambda: daemons.api.get("/v1/plan")["foreign"], BY_THE_TIMER_S)
        assert OTHER_VIP in str(foreign)
        assert by_hand == [line for line in saved(built).splitlines() if OTHER_VIP in line]
        assert daemons.director is not None
        assert 0 == daemons.director.stop()
        daemons.start_director()


def test_a_conflict_is_adopted_without_losing_a_connection(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """What stands by hand and is wanted is left alone until adopted, then edited in place."""
    built = network(farm_topology())
    echo = service("echo", vip=OTHER_VIP, ports=[7], scheduler="wrr")
    daemons = start(built, tmp_path, farm([service(), service("spare", vip=OTHER_VIP)]))
    lb1 = built["lb1"]
    lb1.run(["ipvsadm", "-A", "-t", f"{OTHER_VIP}:7", "-s", "rr"])
    lb1.run(["ipvsadm", "-a", "-t", f"{OTHER_VIP}:7", "-r", "192.0.2.11:7", "-i", "-w", "1"])
    by_hand = [line for line in saved(built).splitlines() if f"{OTHER_VIP}:7" in line]

    with Stream(built["c1"], OTHER_VIP) as stream:
        written = daemons.api.put("/v1/services/echo?wait=1", echo)
        assert written["applied"] is False
        assert "lvsctl service adopt echo" in str(written["reason"])
        assert by_hand == [line for line in saved(built).splitlines() if f"{OTHER_VIP}:7" in line]
        stream.check()

        daemons.api.post("/v1/services/echo/adopt")

        edited = f"-A -t {OTHER_VIP}:7 -s wrr"
        poll(lambda: edited in saved(built), BY_THE_TIMER_S)
        poll(lambda: saved(built).count(f"-a -t {OTHER_VIP}:7 "), BY_THE_TIMER_S, lambda n: n == 3)
        stream.check()


def test_pause_keeps_hands_off_until_it_ends(network: BuildNetwork, tmp_path: Path) -> None:
    """While paused nothing is written; when the time is over everything is put right."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    before = lines(saved(built))
    paused_s = 12

    daemons.api.put("/v1/mode", {"mode": "observe", "for": f"{paused_s}s", "reason": "surgery"})
    built["lb1"].run(["ipvsadm", "-D", "-t", f"{VIP}:80"])

    plan = daemons.api.get("/v1/plan")
    assert f"add service tcp {VIP}:80 rr" in str(plan["operations"])
    written = daemons.api.patch(f"/v1/services/web?wait={TIMER_S:.0f}", {"scheduler": "wrr"})
    assert (False, True) == (written["applied"], "surgery" in str(written["reason"]))
    assert [] == lines(saved(built))
    daemons.api.patch("/v1/services/web", {"scheduler": "rr"})
    poll(lambda: lines(saved(built)), paused_s + BY_THE_TIMER_S, until=lambda now: now == before)


def test_both_kernel_backends_leave_the_same_table(network: BuildNetwork, tmp_path: Path) -> None:
    """The same farm through netlink and through ipvsadm is the same to ipvsadm -Sn."""
    services = [
        service(ports=[80, 81], scheduler="mh"),
        service("sh", vip=OTHER_VIP, scheduler="sh", flags=["sh-fallback", "sh-port"]),
        service("udp", protocol="udp", flags=["ops"], ports=[53]),
        service("sticky", ports=[443], persistence={"timeout": "10m", "netmask": 24}),
        {"name": "marked", "vip": VIP, "fwmark": 9, "scheduler": "wrr", "pool": "web"},
    ]
    tables = []
    for backend in ("netlink", "ipvsadm"):
        built = network(farm_topology())
        pool = declared(built, SERVERS, {"rs1": 1, "rs2": 0, "rs3": 65535})
        daemons = start(built, tmp_path / backend, farm(services, [pool]), servers=(), ipvs=backend)
        assert daemons.api.get("/v1/plan")["operations"] == []
        tables.append(lines(saved(built)))
        built.remove()

    assert 6 + 6 * 3 == len(tables[0])
    assert tables[0] == tables[1]
