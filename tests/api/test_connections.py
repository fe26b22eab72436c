"""Connections over REST and on the command line: the list, and where one goes."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lvsctl.ipvs.connections import Connection
from tests.api.bench import Bench
from tests.api.command_line import Run

CLIENT, VIP = IPv4Address("203.0.113.9"), IPv4Address("198.51.100.10")
RS1, RS2 = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
OPEN = Connection("tcp", CLIENT, 40000, VIP, 443, RS2, 443, "ESTABLISHED", 899)
DNS = replace(OPEN, protocol="udp", vip=IPv4Address("198.51.100.53"), vip_port=53, state="UDP")
MARKED = replace(OPEN, protocol="ip", client_port=0, vip=IPv4Address(7), vip_port=0, state="NONE")
ELSEWHERE = replace(OPEN, client=CLIENT + 1, server=RS1)
ENTRIES = [OPEN, DNS, MARKED, ELSEWHERE]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ENTRIES),
        ("?client=203.0.113.9", [OPEN, DNS, MARKED]),
        ("?server=192.0.2.11", [ELSEWHERE]),
        ("?service=web", [OPEN, ELSEWHERE]),
        ("?service=dns", [DNS]),
        ("?service=marked", [MARKED]),
        ("?service=web&client=203.0.113.9", [OPEN]),
    ],
)
def test_connections_by_client_server_and_service(
    bench: Bench, query: str, expected: list[Connection]
) -> None:
    """Of the kernel's, in its order."""
    bench.ipvs.entries = ENTRIES
    answer = bench.get(f"/v1/connections{query}").json()
    assert answer["next"] is None
    assert [(each.protocol, str(each.vip), each.client_port) for each in expected] == [
        (each["protocol"], each["vip"], each["client_port"]) for each in answer["connections"]
    ]


def test_connections_come_in_pages(bench: Bench) -> None:
    """Each says where the next one begins."""
    bench.ipvs.entries = [replace(OPEN, client_port=port) for port in range(1, 6)]
    ports: list[int] = []
    offset: int | None = 0
    while offset is not None:
        answer = bench.get(f"/v1/connections?limit=2&offset={offset}").json()
        ports += [each["client_port"] for each in answer["connections"]]
        offset = answer["next"]
    assert [1, 2, 3, 4, 5] == ports


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("connections?client=x", 422),
        ("connections?service=none", 404),
        ("connections?limit=1001", 422),
        ("explain?client=203.0.113.9&vip=198.51.100.10:80", 422),
        ("explain?client=203.0.113.9:1&vip=198.51.100.10:65536", 422),
        ("explain?client=[2001:db8::1]:1&vip=198.51.100.10:80", 422),
        ("explain?client=203.0.113.999:1&vip=198.51.100.10:80", 422),
    ],
)
def test_a_wrong_question_is_refused(bench: Bench, path: str, status: int) -> None:
    """With what is wrong."""
    assert status == bench.get(f"/v1/{path}").status_code


def test_a_connection_that_exists_is_explained(bench: Bench) -> None:
    """By the kernel's entry, with the server's name."""
    bench.ipvs.entries = [OPEN]
    answer = bench.get("/v1/explain?client=203.0.113.9:40000&vip=198.51.100.10:443").json()
    assert answer.pop("reason")
    assert {
        "key": "tcp 198.51.100.10:443",
        "service": "web",
        "scheduler": "mh",
        "cause": "connection",
        "servers": [{"name": "rs2", "address": "192.0.2.12"}],
        "connection": {
            "protocol": "tcp",
            "client": "203.0.113.9",
            "client_port": 40000,
            "vip": "198.51.100.10",
            "vip_port": 443,
            "server": "192.0.2.12",
            "state": "ESTABLISHED",
            "expires": "899s",
        },
    } == answer


@pytest.mark.parametrize(
    ("flow", "cause", "key", "servers"),
    [
        ("client=203.0.113.9:1&vip=198.51.100.10:80", "hash", "tcp 198.51.100.10:80", 1),
        ("client=203.0.113.9:1&vip=198.51.100.20:80", "scheduler", "fwmark 7", 2),
        ("client=203.0.113.9:1&vip=198.51.100.10:81", "no-service", None, 0),
        (
            "client=203.0.113.9:1&vip=198.51.100.53:53&protocol=udp",
            "scheduler",
            "udp 198.51.100.53:53",
            1,
        ),
    ],
)
def test_a_new_connection_is_explained(
    bench: Bench, flow: str, cause: str, key: str | None, servers: int
) -> None:
    """By the table of its scheduler, or with its candidates; a mark by the service's VIP."""
    answer = bench.get(f"/v1/explain?{flow}").json()
    assert (cause, key, servers) == (answer["cause"], answer["key"], len(answer["servers"]))
    assert answer["reason"]


def test_the_command_line_lists_and_explains(bench: Bench, run: Run) -> None:
    """As the operator asks at 3 a.m."""
    bench.ipvs.entries = ENTRIES
    listed = run("connections", "list", "--client", "203.0.113.9", "--limit", "1").output
    assert "203.0.113.9:40000" in listed
    assert "--offset 1" in listed
    flow = ("--client", "203.0.113.9:40000", "--vip", "198.51.100.10:443")
    explained = run("explain", *flow).output
    assert "rs2 (192.0.2.12)" in explained
    assert "ESTABLISHED" in explained
    assert (
        "none" in run("explain", "--client", "[2001:db8::1]:1", "--vip", "[2001:db8::2]:1").output
    )
