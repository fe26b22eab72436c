"""Health by packets: servers leave and return as their clients would see them."""

import contextlib
import re
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.lab.application import HTTP_PORT, Application, start_application
from deploy.lab.client import request, requests, served_by
from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.node import Node
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology, vip, vip6
from tests.kernel.checked_farms import (
    CHECK,
    DETECTED_S,
    WITHIN_S,
    all_up,
    checked_farm,
    checks_of,
    healths,
    members,
    reason,
    wait_for_health,
)
from tests.kernel.farms import SERVERS, VIP, farm, service, start
from tests.kernel.real_servers import set_up_by_hand

TUNNELS = {
    "ipip": (VIP, {"type": "ipip"}, "tunl0"),
    "gre": (vip(11), {"type": "gre"}, "gre0"),
    "gue": (vip(12), {"type": "gue"}, "tunl0"),
    "IPv6": (vip6(13), {"type": "ipip"}, "sit0"),
}
"""By the name of pool and service: the VIP, its tunnel, and the device that takes it."""
COUNTERS_LAG_S = 3.0
"""IPVS adds up what its processors counted every two seconds."""


def up(daemons: FarmDaemons) -> FarmDaemons:
    """Wait until every agent has joined and every server has passed."""
    poll(lambda: all_up(daemons), 60)
    return daemons


# --- what is wrong on a real server ---------------------------------------------------------

Change = Callable[[Node], None]


def rp_filter(value: int) -> Change:
    """Return what sets the effective rp_filter of the devices that take the tunnels."""

    def change(server: Node) -> None:
        for device in ("tunl0", "gre0"):
            server.write_sysctl(f"net.ipv4.conf.{device}.rp_filter", value)

    return change


def devices(*, are_up: bool) -> Change:
    def change(server: Node) -> None:
        for device in sorted({device for _, _, device in TUNNELS.values()}):
            server.set_link(device, up=are_up)

    return change


def drop_rip_only(server: Node) -> None:
    """Have the application refuse what is for its VIPs, as one that listens at the RIP does."""
    for address, _, _ in TUNNELS.values():
        program = "ip6tables-legacy" if ":" in address else "iptables-legacy"
        reject = ["-j", "REJECT", "--reject-with", "tcp-reset"]
        server.run([program, "-A", "INPUT", "-p", "tcp", "-d", address, *reject])


def accept_all(server: Node) -> None:
    for program in ("iptables-legacy", "ip6tables-legacy"):
        server.run([program, "-F", "INPUT"])


def delete_vips(server: Node) -> None:
    for address, _, _ in TUNNELS.values():
        found = server.run(["ip", "-o", "addr", "show", "to", address]).stdout.split()
        server.delete_address(found[1], found[3])


FAULTS: dict[str, tuple[Change, Change | None, str]] = {
    "the device is down": (devices(are_up=False), devices(are_up=True), "on rs1"),
    "rp_filter is 1": (rp_filter(1), rp_filter(0), "nothing comes back through the tunnel"),
    "refused for the VIP": (drop_rip_only, accept_all, "listens on"),
    "the VIP is missing": (delete_vips, None, "nothing comes back through the tunnel"),
}


def farm_of_tunnels() -> Json:
    """Return a farm with a checked pool and a service for each tunnel."""
    pools: list[Json] = [
        {"name": name, "tunnel": tunnel, "health_checks": [CHECK]}
        for name, (_, tunnel, _) in TUNNELS.items()
    ]
    services = [service(name, vip=vip, pool=name) for name, (vip, _, _) in TUNNELS.items()]
    return farm(services, pools)


@pytest.mark.timeout(300)
def test_what_the_direct_check_does_not_see(network: BuildNetwork, tmp_path: Path) -> None:
    """The server is out of the table in time, the reason names it, and mended it is back.

    Its agent is dead, so nobody mends it by itself; that alone takes no server out. All tunnels
    have the fault at once.
    """
    built = network(farm_topology(client_on_link=False, vips_on_link=False))
    daemons = start(built, tmp_path, farm_of_tunnels(), pools=tuple(TUNNELS))
    poll(lambda: all(all_up(daemons, pool) for pool in TUNNELS), 60)
    daemons.agents["rs1"].kill()
    for fault, (make, mend, says) in FAULTS.items():
        make(built["rs1"])
        for pool, (address, _, _) in TUNNELS.items():
            if pool == "IPv6" and fault == "rp_filter is 1":
                continue  # there is none for IPv6
            wait_for_health(daemons, pool=pool, rs1="down", rs2="up", rs3="up")
            poll(
                lambda pool=pool: reason(daemons, "rs1", pool),
                WITHIN_S,
                until=lambda why, says=says: says in why,
            )
            assert built.address("rs1") in reason(daemons, "rs1", pool), (fault, pool)
            found = set(served_by(requests(built["c1"], address, count=6)))
            assert (fault, pool, {"rs2", "rs3"}) == (fault, pool, found)
        if mend:
            mend(built["rs1"])
            for pool in TUNNELS:
                wait_for_health(daemons, pool=pool, rs1="up")
    daemons.start_agent("rs1", tuple(TUNNELS))
    for pool, (address, _, _) in TUNNELS.items():
        wait_for_health(daemons, within_s=30 + WITHIN_S, pool=pool, rs1="up")
        found = set(served_by(requests(built["c1"], address, count=6)))
        assert (pool, set(SERVERS)) == (pool, found)


# --- faults of the director's own -----------------------------------------------------------


def flush_marks(director: Node) -> None:
    saved = director.run(["ipvsadm", "-Sn"]).stdout.splitlines()
    for line in saved:
        if line.startswith("-A -f"):
            director.run(["ipvsadm", "-D", "-f", line.split()[2]])


def drop_answers(director: Node) -> None:
    dip = "192.0.2.10"
    director.run(["iptables-legacy", "-I", "INPUT", "-s", VIP, "-d", dip, "-j", "DROP"])


def reset_accept_local(director: Node) -> None:
    director.write_sysctl("net.ipv4.conf.eth0.accept_local", 0)


def delete_route(director: Node) -> None:
    director.run(["ip", "route", "del", "192.0.2.0/24"])


def restore_route(director: Node) -> None:
    director.run(["ip", "route", "add", "192.0.2.0/24", "dev", "eth0", "src", "192.0.2.10"])


@pytest.mark.timeout(300)
def test_faults_of_the_director_freeze_and_remove_nothing(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Verdicts stay, with the reason, while the fault lasts; the table is as it was throughout."""
    built = network(farm_topology())
    daemons = up(start(built, tmp_path, checked_farm()))
    lb1 = built["lb1"]
    table = of_farm(lb1)

    def frozen_by(says: str, make: Callable[[], object]) -> None:
        """Make a fault until it froze, as the director mends it; the table never moves."""

        def seen() -> str:
            make()
            assert table == of_farm(lb1)
            return " ".join(str(each["frozen"]) for each in checks_of(daemons, "rs1"))

        poll(seen, WITHIN_S, until=lambda found: says in found)

    frozen_by("has no virtual service", lambda: flush_marks(lb1))
    poll(lambda: all_up(daemons), WITHIN_S + 15)
    frozen_by("accept_local is 0", lambda: reset_accept_local(lb1))
    poll(lambda: all_up(daemons), WITHIN_S + 15)

    drop_answers(lb1)
    frozen_by("fell silent at once", lambda: None)
    poll(lambda: set(healths(daemons).values()), WITHIN_S, until=lambda found: found == {"up"})
    told = daemons.api.ask("GET", "/v1/events?after=0&follow=false").text
    assert "health-frozen" in told
    lb1.run(["iptables-legacy", "-F", "INPUT"])
    poll(lambda: all_up(daemons), WITHIN_S)
    assert table == of_farm(lb1)

    slow = {**CHECK, "interval": "2s", "fast_interval": "1s", "fall": 3}
    daemons.api.patch("/v1/pools/web?wait=10", {"health_checks": [slow]})
    asked = probes(daemons)
    flap(built["rs1"], FLAPS)
    assert probes(daemons)["failed"] > asked["failed"]
    assert table == of_farm(lb1)
    told = daemons.api.ask("GET", "/v1/events?after=0&follow=false").text
    assert "server-down" not in told


FLAPS = 6


def flap(server: Node, times: int) -> None:
    """Have a server be down and up again, each for a second: three failures take two seconds."""
    for _ in range(times):
        for change in ("-A", "-D"):
            drop = [change, "INPUT", "-p", "tcp", "--dport", str(HTTP_PORT), "-j", "DROP"]
            server.run(["iptables-legacy", *drop])
            until = time.monotonic() + 1
            poll(lambda until=until: time.monotonic() >= until, 5)


def probes(daemons: FarmDaemons) -> Counter[str]:
    """Return how many probes passed and failed so far."""
    text = daemons.api.ask("GET", "/metrics").text
    counts = re.findall(r'lvsctl_probe_duration_seconds_count{.*result="(\w+)".*} (\S+)', text)
    return Counter({result: int(float(count)) for result, count in counts})


@pytest.mark.timeout(300)
def test_a_lost_route_freezes(network: BuildNetwork, tmp_path: Path) -> None:
    """Servers behind a router stay in the table while the director cannot reach them."""
    built = network(farm_topology(real_servers=1, far_real_servers=2))
    names = ("rs1", "rs2", "rs3")
    daemons = up(start(built, tmp_path, checked_farm(), servers=names))
    lb1 = built["lb1"]
    table = of_farm(lb1)
    lb1.run(["ip", "route", "del", "default"])
    poll(
        lambda: [each["frozen"] for each in checks_of(daemons, "rs2")],
        WITHIN_S + 15,
        until=lambda found: all(each and "route" in each for each in found),
    )
    assert {"rs1": "up", "rs2": "up", "rs3": "up"} == healths(daemons)
    assert table == of_farm(lb1)
    lb1.run(["ip", "route", "add", "default", "via", "192.0.2.1"])
    poll(lambda: all_up(daemons), WITHIN_S + 15)
    assert table == of_farm(lb1)


def of_farm(director: Node) -> list[str]:
    """Return the kernel's table without the services of probes."""
    saved = director.run(["ipvsadm", "-Sn"]).stdout.splitlines()
    return [line for line in saved if " -f " not in line]


# --- clients and probes ---------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_probes_change_nothing_for_clients(network: BuildNetwork, tmp_path: Path) -> None:
    """Of 10,000 connections over rr each server gets as many, while probes run all the time.

    A fourth server is dead throughout: were a single probe of it balanced, it would pass.
    """
    built = network(farm_topology(real_servers=4))
    # The guest's only processor is kept busy: an answer may take a while.
    fast = {"interval": "100ms", "fast_interval": "100ms", "rise": 1, "timeout": "5s"}
    pool = {"health_checks": [{"type": "tcp", **fast}]}
    daemons = start(built, tmp_path, checked_farm(pool=pool), servers=())
    for name in SERVERS:
        built[name].fork(accept, "acceptor")
        daemons.start_agent(name)
    up(daemons)
    daemons.start_agent("rs4")  # and nobody listens there
    poll(lambda: healths(daemons).get("rs4"), 30, until=lambda found: found == "down")
    before = connections(daemons)
    built["c1"].write_sysctl("net.ipv4.ip_local_port_range", "1024 65535")
    assert 0 == built["c1"].fork(lambda: connect(VIP, 10_000), "client").wait(240)

    counted_by = time.monotonic() + COUNTERS_LAG_S
    poll(lambda: time.monotonic() > counted_by, 3 * COUNTERS_LAG_S)
    found = connections(daemons) - before
    assert {built.address(name) for name in SERVERS} == set(found)
    # A port that comes again is a connection that IPVS knows already, and is not scheduled.
    assert 9_900 <= found.total() <= 10_000
    assert max(found.values()) - min(found.values()) <= 1
    told = daemons.api.ask("GET", "/v1/events?after=0&follow=false").text
    assert "web/rs4" in told
    assert not [line for line in told.split("\n\n") if "server-up" in line and "web/rs4" in line]


def accept() -> None:
    """Take connections until the client closes them."""
    with socket.create_server(("", HTTP_PORT), backlog=4096) as listener:
        while True:
            taken, _ = listener.accept()
            with taken, contextlib.suppress(ConnectionResetError):  # as probes end theirs
                taken.recv(1)


def connect(address: str, count: int) -> None:
    """Open connections one after the other, each closed before the next."""
    for _ in range(count):
        socket.create_connection((address, HTTP_PORT), 30).close()


def connections(daemons: FarmDaemons) -> Counter[str]:
    """Return how many connections each destination of the service has had."""
    table: Any = daemons.api.get("/v1/table")["services"]
    (web,) = (each for each in table if each["service"] == "web")
    return Counter(
        {each["address"]: each["traffic"]["connections"] for each in web["destinations"]}
    )


@pytest.mark.timeout(300)
def test_a_dead_application_costs_only_until_it_is_detected(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Under 100 connections/s; it returns without a failure."""
    built = network(farm_topology())
    daemons = start(built, tmp_path, checked_farm(), servers=("rs2", "rs3"))
    application = start_application(built["rs1"], Application("rs1"))
    daemons.start_agent("rs1")
    up(daemons)
    with Load(built["c1"], VIP, per_s=100, timeout_s=10) as load:
        poll(lambda: len(load.so_far()) > 50, 30)
        killed_s = time.time()
        application.kill()
        wait_for_health(daemons, rs1="down")
        out_s = time.time()
        poll(lambda: len([a for a in load.so_far() if a.at_s > out_s]) > 50, 30)
        start_application(built["rs1"], Application("rs1"))
        wait_for_health(daemons, rs1="up")
        poll(lambda: load.so_far()[-1].server, 30, until=lambda server: server == "rs1")
        answers = load.stop()
    failed = [answer for answer in answers if answer.error]
    assert failed
    assert killed_s <= min(answer.at_s + answer.took_s for answer in failed)
    began = [answer.at_s for answer in failed]
    assert max(began) <= out_s
    assert max(began) - min(began) <= 3 * DETECTED_S


@pytest.mark.timeout(300)
def test_with_mh_only_the_dead_servers_clients_move(network: BuildNetwork, tmp_path: Path) -> None:
    """And they come back to it."""
    built = network(farm_topology(client_addresses=40))
    document = checked_farm(scheduler="mh", flags=["mh-fallback"])
    daemons = start(built, tmp_path, document, servers=("rs2", "rs3"))
    application = start_application(built["rs1"], Application("rs1"))
    daemons.start_agent("rs1")
    up(daemons)

    def homes() -> dict[str, str | None]:
        sources = [f"192.0.2.{number}" for number in range(201, 241)]
        return {source: request(built["c1"], VIP, source=source).server for source in sources}

    before = homes()
    assert set(SERVERS) == set(before.values())
    application.kill()
    wait_for_health(daemons, rs1="down")
    during = homes()
    moved = {source for source in before if before[source] != during[source]}
    assert {source for source, server in before.items() if server == "rs1"} == moved
    assert None not in during.values()
    start_application(built["rs1"], Application("rs1"))
    wait_for_health(daemons, rs1="up")
    assert before == homes()


@pytest.mark.timeout(300)
def test_all_that_fail_at_once_serve_on_or_apologize(network: BuildNetwork, tmp_path: Path) -> None:
    """A broken check takes nobody out; a sorry server takes over from the dead, and gives back."""
    built = network(farm_topology(real_servers=4))
    daemons = start(built, tmp_path, checked_farm(), servers=())
    applications = {name: start_application(built[name], Application(name)) for name in SERVERS}
    for name in SERVERS:
        daemons.start_agent(name)
    up(daemons)

    broken = {**CHECK, "statuses": ["204"]}
    daemons.api.patch("/v1/pools/web?wait=10", {"health_checks": [broken]})
    poll(lambda: healths(daemons), WITHIN_S, until=lambda found: set(found.values()) == {"down"})
    assert "panic" in reason(daemons, "rs1")
    assert Counter(rs1=3, rs2=3, rs3=3) == served_by(requests(built["c1"], VIP, count=9))
    daemons.api.patch("/v1/pools/web?wait=10", {"health_checks": [CHECK]})
    up(daemons)

    set_up_by_hand(built["rs4"], VIP)
    start_application(built["rs4"], Application("rs4"))
    daemons.api.patch("/v1/services/web?wait=10", {"sorry_server": built.address("rs4")})
    for name in SERVERS:
        applications[name].kill()
    poll(lambda: set(daemons.served("web")), WITHIN_S, until=lambda f: f == {built.address("rs4")})
    assert Counter(rs4=6) == served_by(requests(built["c1"], VIP, count=6))
    for name in SERVERS:
        start_application(built[name], Application(name))
    up(daemons)
    assert Counter(rs1=3, rs2=3, rs3=3) == served_by(requests(built["c1"], VIP, count=9))


@pytest.mark.timeout(300)
def test_a_lost_quorum_withdraws_the_vip(network: BuildNetwork, tmp_path: Path) -> None:
    """From the director only; probes go on through the tunnel, and it comes back."""
    built = network(farm_topology())
    quorum = {"quorum": {"servers": 2}}
    daemons = start(built, tmp_path, checked_farm(pool=quorum), servers=())
    applications = {name: start_application(built[name], Application(name)) for name in SERVERS}
    for name in SERVERS:
        daemons.start_agent(name)
    up(daemons)
    lb1 = built["lb1"]

    def has_vip() -> bool:
        listed = lb1.run(["ip", "-4", "addr", "show", "dev", "lvs0"], check=False)  # may not exist
        return VIP in listed.stdout

    assert poll(has_vip, WITHIN_S)
    for name in ("rs1", "rs2"):
        applications[name].kill()
    poll(has_vip, WITHIN_S, until=lambda found: not found)
    assert 1 == daemons.api.get("/v1/services/web")["status"]["health"]["healthy"]  # type: ignore[index]
    start_application(built["rs1"], Application("rs1"))
    poll(has_vip, WITHIN_S)
    assert members(daemons)["rs1"]["health"] == "up"
    assert {"rs1", "rs3"} == set(served_by(requests(built["c1"], VIP, count=4)))
