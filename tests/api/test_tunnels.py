"""The tunnels of pools and servers over REST and the command line."""

import json
from typing import Any

import pytest

from tests.api.bench import Bench
from tests.api.command_line import Run
from tests.api.test_agents import AGENT, ASSIGNMENT, VIPS, report, serve

POOL = "/v1/pools/web"
SERVER = f"{POOL}/real-servers/rs1"
GUE = {"type": "gue", "port": 6080}


def destinations(bench: Bench) -> dict[str, Any]:
    """Return what is shown of each destination of the service web."""
    shown = bench.get("/v1/services/web").json()["status"]["destinations"]
    return {each["server"]: each for each in shown}


def in_kernel(bench: Bench) -> dict[str, str]:
    """Return what the kernel wraps packets for port 80 in."""
    services = {each["key"]: each for each in bench.get("/v1/table").json()["services"]}
    found = services["tcp 198.51.100.10:80"]["destinations"]
    return {each["address"]: each["tunnel"] for each in found}


@pytest.mark.parametrize(
    ("given", "kept", "text"),
    [
        ({}, {"type": "ipip"}, "ipip"),
        ({"type": "gre", "checksum": True}, {"type": "gre", "checksum": True}, "gre+checksum"),
        ({"type": "gre", "checksum": False}, {"type": "gre"}, "gre"),
        ({"type": "gue"}, GUE, "gue:6080"),
        (
            {"type": "gue", "port": 6081, "checksum": True, "mtu": 1400},
            {"type": "gue", "port": 6081, "checksum": True, "mtu": 1400},
            "gue:6081+checksum",
        ),
        ({"mtu": 576}, {"type": "ipip", "mtu": 576}, "ipip"),
    ],
)
def test_a_tunnel_is_kept_and_reaches_the_kernel(
    bench: Bench, given: dict[str, Any], kept: dict[str, Any], text: str
) -> None:
    """As it was given, with the port that gue has where none is named."""
    servers = bench.get(POOL).json()["real_servers"]
    assert bench.put(f"{POOL}?wait=5", json={"tunnel": given, "real_servers": servers}).is_success

    shown = bench.get(POOL).json()
    assert (kept, text) == (shown["tunnel"], shown["status"]["tunnel"])
    assert {"192.0.2.11": text, "192.0.2.12": text} == in_kernel(bench)


def test_a_server_has_a_tunnel_of_its_own_until_it_is_taken_away(bench: Bench) -> None:
    """The others keep the pool's."""
    own = {"type": "gre", "checksum": True, "mtu": 1400}
    bench.patch(f"{SERVER}?wait=5", json={"tunnel": own})
    assert own == bench.get(SERVER).json()["tunnel"]
    assert {"192.0.2.11": "gre+checksum", "192.0.2.12": "ipip"} == in_kernel(bench)
    assert ["gre+checksum", "ipip"] == [
        each["tunnel"] for each in bench.get(POOL).json()["status"]["real_servers"]
    ]

    bench.patch(f"{SERVER}?wait=5", json={"tunnel": None})
    assert "tunnel" not in bench.get(SERVER).json()
    assert {"192.0.2.11": "ipip", "192.0.2.12": "ipip"} == in_kernel(bench)


def test_a_patch_of_the_type_must_take_the_old_port_away(bench: Bench) -> None:
    """A merge patch leaves what it does not name (RFC 7396)."""
    bench.patch(POOL, json={"tunnel": GUE})
    assert 422 == bench.patch(POOL, json={"tunnel": {"type": "gre"}}).status_code
    assert bench.patch(POOL, json={"tunnel": {"type": "gre", "port": None}}).is_success
    assert {"type": "gre"} == bench.get(POOL).json()["tunnel"]


def test_a_server_whose_agent_is_silent_is_shown_pending(bench: Bench) -> None:
    """It serves on over the old tunnel, which its agent must go on accepting."""
    serve(bench)
    bench.patch(f"{POOL}?wait=5", json={"tunnel": GUE})

    assert {"192.0.2.11": "gue:6080", "192.0.2.12": "gue:6080", "192.0.2.13": "ipip"} == in_kernel(
        bench
    )
    found = destinations(bench)["rs3"]
    assert ["tunnel-pending"] == [each["code"] for each in found.pop("reasons")]
    assert {
        "server": "rs3",
        "address": "192.0.2.13",
        "weight": 100,
        "tunnel": "ipip",
        "pending": True,
        "health": None,
        "reason": "pending: agent rs3 has not yet reported 198.51.100.10 ready over gue:6080; "
        "still over ipip",
        "code": "tunnel-pending",
    } == found
    pool = bench.get(POOL).json()["status"]
    assert [("ipip", True)] == [
        (each["tunnel"], each["pending"]) for each in pool["real_servers"] if each["name"] == "rs3"
    ]
    assert {"vip": "198.51.100.10", "tunnel": "gue:6080"} in bench.get(AGENT).json()["awaited"]
    assert [{**GUE, "checksum": False}, {"type": "ipip", "port": 0, "checksum": False}] == (
        bench.get(ASSIGNMENT).json()["tunnels"]
    )

    report(bench, *VIPS, tunnels=[GUE, {"type": "ipip"}])
    bench.patch(f"{POOL}?wait=5", json={})
    assert "gue:6080" == in_kernel(bench)["192.0.2.13"]
    assert not destinations(bench)["rs3"]["pending"]


@pytest.mark.parametrize("tunnel", [{}, {"type": "gre", "checksum": True}, {"type": "gue"}])
@pytest.mark.parametrize("vip", ["198.51.100.99", "2001:db8:51::99"])
@pytest.mark.parametrize("rip", ["192.0.2.99", "2001:db8:2::99"])
def test_vip_and_server_may_be_of_either_family(
    bench: Bench, tunnel: dict[str, Any], vip: str, rip: str
) -> None:
    """All four combinations, declared or brought by an agent."""
    pool = {"tunnel": tunnel, "real_servers": [{"name": "rs9", "address": rip}]}
    assert bench.put("/v1/pools/six", json=pool).is_success
    service = {"vip": vip, "ports": [80], "pool": "six", "persistence": {"timeout": "300s"}}
    assert bench.put("/v1/services/six", json=service).is_success
    netmask = bench.get("/v1/services/six").json()["persistence"]["netmask"]
    assert (128 if ":" in vip else 32) == netmask
    assert bench.put("/v1/agents/rs9", json={"address": rip, "pools": ["six"]}).is_success


def test_the_command_line_sets_a_pools_tunnel(run: Run, bench: Bench) -> None:
    """Another type brings its own port and checksum and keeps the MTU."""
    for arguments, expected in (
        (("--tunnel", "gue", "--tunnel-mtu", "1400"), {**GUE, "mtu": 1400}),
        (("--tunnel-port", "6081"), {"type": "gue", "port": 6081, "mtu": 1400}),
        (("--tunnel-checksum",), {"type": "gue", "port": 6081, "checksum": True, "mtu": 1400}),
        (("--tunnel", "gre"), {"type": "gre", "mtu": 1400}),
        (("--tunnel", "gre", "--tunnel-checksum"), {"type": "gre", "checksum": True, "mtu": 1400}),
        (("--no-tunnel-checksum", "--tunnel-mtu", "auto"), {"type": "gre"}),
    ):
        run("pool", "set", "web", *arguments)
        assert expected == bench.get(POOL).json()["tunnel"]
    run("pool", "add", "new", "--tunnel", "gue", "--tunnel-port", "7000")
    assert {"type": "gue", "port": 7000} == bench.get("/v1/pools/new").json()["tunnel"]
    assert "gue:7000" in run("pool", "show", "new").stdout
    assert "leave it out" in run("pool", "set", "web", "--tunnel-port", "1", status=1).stderr


def test_the_command_line_sets_a_servers_own_tunnel(run: Run, bench: Bench) -> None:
    """And gives it the pool's again."""
    run("server", "set", "rs1", "--tunnel", "gre", "--tunnel-checksum", "--tunnel-mtu", "1400")
    assert "own tunnel:      gre+checksum, MTU 1400" in run("server", "show", "rs1").stdout
    assert "gre+checksum" in run("server", "list").stdout
    run("server", "set", "rs1", "--tunnel", "pool", "--tunnel-mtu", "1400", status=2)
    run("server", "set", "rs1", "--tunnel", "pool")
    assert "tunnel" not in bench.get(SERVER).json()

    run("server", "add", "rs5", "--pool", "web", "--address", "2001:db8:2::5", "--tunnel", "gue")
    assert GUE == bench.get(f"{POOL}/real-servers/rs5").json()["tunnel"]
    assert "[2001:db8:2::5]:80" in run("table", "show").stdout
    listed = json.loads(run("server", "list", "--pool", "web", "-o", "json").stdout)
    assert "gue:6080" == listed["real_servers"][-1]["tunnel"]
