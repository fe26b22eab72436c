"""What is wrong gets a 4xx that says where, what, and what is allowed; nothing else happens."""

from copy import deepcopy
from typing import Any, NamedTuple

import pytest

from tests.api.bench import EXAMPLE, Bench, json_of

SERVICE = "/v1/services/new"
POOL = "/v1/pools/new"
SERVER = "/v1/pools/web/real-servers/rs1"
OVERRIDE = "/v1/pools/web/real-servers/rs1/override"
AGENT = "/v1/agents/rs3"
REPORT = "/v1/agents/rs3/report"
MODE = "/v1/mode"
FARM = "/v1/farm"


class Refusal(NamedTuple):
    """A request that is refused.

    Attributes:
        sentence: What is wrong with it.
        method: Of the request.
        address: Of the request.
        body: Its document.
        status: Of the answer.
        pointer: To what is wrong.
        allowed: Stands in what the answer says is allowed.
    """

    sentence: str
    method: str
    address: str
    body: object
    status: int
    pointer: str
    allowed: str


def service(**changes: object) -> dict[str, object]:
    """Return a good new service, but for the changes; None leaves a field out."""
    good = {"vip": "198.51.100.99", "ports": [80], "scheduler": "rr", "pool": "web"} | changes
    return {field: value for field, value in good.items() if value is not None}


def put_service(sentence: str, pointer: str, allowed: str, **changes: object) -> Refusal:
    return Refusal(sentence, "PUT", SERVICE, service(**changes), 422, pointer, allowed)


def put_server(sentence: str, pointer: str, allowed: str, **changes: object) -> Refusal:
    body = {"address": "192.0.2.11"} | changes
    return Refusal(sentence, "PUT", SERVER, body, 422, pointer, allowed)


def put_tunnel(sentence: str, pointer: str, allowed: str, **tunnel: object) -> Refusal:
    return Refusal(sentence, "PUT", POOL, {"tunnel": tunnel}, 422, f"/tunnel{pointer}", allowed)


def put(address: str, sentence: str, pointer: str, allowed: str, body: object) -> Refusal:
    return Refusal(sentence, "PUT", address, body, 422, pointer, allowed)


def farm(**changes: object) -> dict[str, Any]:
    """Return the example farm with other sections."""
    return deepcopy(dict(EXAMPLE)) | changes


WEB, DNS, MARKED = EXAMPLE["services"]
LONG = "x" * 64

REFUSALS = [
    put_service("a VIP that is a real server's address", "/vip", "of its own", vip="192.0.2.11"),
    put_service("a VIP that is the director's address", "/vip", "of its own", vip="192.0.2.10"),
    put_service("a VIP that is no address", "/vip", "192.0.2.11", vip="198.51.100.256"),
    put_service("a VIP that is a number", "/vip", "192.0.2.11", vip=3325256714),
    put_service("a VIP with a prefix length", "/vip", "192.0.2.11", vip="198.51.100.99/32"),
    put_service("a VIP with leading zeros", "/vip", "192.0.2.11", vip="198.051.100.99"),
    put_service("a VIP with an interface", "/vip", "192.0.2.11", vip="fe80::1%eth0"),
    put_service("a multicast VIP", "/vip", "route to", vip="224.0.0.18"),
    put_service("a loopback VIP", "/vip", "route to", vip="127.0.0.1"),
    put_service("an unspecified VIP", "/vip", "route to", vip="0.0.0.0"),  # noqa: S104
    put_service("an IPv4 VIP written as IPv6", "/vip", "route to", vip="::ffff:198.51.100.9"),
    put_service("a link-local IPv6 VIP", "/vip", "route to", vip="fe80::1"),
    put_service("a site-local IPv6 VIP", "/vip", "route to", vip="fec0::1"),
    put_service("a multicast IPv6 VIP", "/vip", "route to", vip="ff02::1"),
    put_service("the IPv6 loopback address as a VIP", "/vip", "route to", vip="::1"),
    put_service("the unspecified IPv6 address as a VIP", "/vip", "route to", vip="::"),
    put_service(
        "persistence of an IPv6 network of 129 bits",
        "/persistence/netmask",
        "1 to 128",
        vip="2001:db8::1",
        persistence={"timeout": "300s", "netmask": 129},
    ),
    put_service("no VIP", "/vip", "virtual address", vip=None),
    put_service("port 0", "/ports/0", "1 to 65535", ports=[0]),
    put_service("port 70000", "/ports/1", "1 to 65535", ports=[80, 70000]),
    put_service("a negative port", "/ports/0", "1 to 65535", ports=[-80]),
    put_service("a port of text", "/ports/0", "a whole number", ports=["80"]),
    put_service("a port that is true", "/ports/0", "a whole number", ports=[True]),
    put_service("a port with a fraction", "/ports/0", "a whole number", ports=[80.0]),
    put_service("a port that is null", "/ports/0", "a whole number", ports=[None]),
    put_service("ports that are no list", "/ports", "a list", ports=80),
    put_service("one port twice", "/ports/1", "each once", ports=[80, 80]),
    put_service("no ports and no mark", "/ports", "1 to 65535", ports=None),
    put_service("a VIP and port of another service", "/ports/0", "each once", vip=WEB["vip"]),
    put_service("ports and a mark", "/ports", "leave one out", fwmark=9),
    put_service(
        "a mark with a protocol", "/protocol", "leave it out", ports=None, fwmark=9, protocol="tcp"
    ),
    put_service("mark 0", "/fwmark", "1 to 4294967295", ports=None, fwmark=0),
    put_service("a mark of 33 bits", "/fwmark", "1 to 4294967295", ports=None, fwmark=1 << 32),
    put_service("a mark of another service", "/fwmark", "each once", ports=None, fwmark=7),
    put_service("a probe mark", "/fwmark", "outside it", ports=None, fwmark=0x4C560001),
    put_service("an unknown protocol", "/protocol", "'tcp', 'udp' or 'sctp'", protocol="icmp"),
    put_service("a protocol in capitals", "/protocol", "'tcp', 'udp' or 'sctp'", protocol="TCP"),
    put_service("an unknown scheduler", "/scheduler", "wlc", scheduler="best"),
    put_service("a scheduler that is a list", "/scheduler", "a string", scheduler=["rr"]),
    put_service("a flag of another scheduler", "/flags", "none", flags=["mh-port"]),
    put_service(
        "an unknown flag", "/flags", "sh-fallback, sh-port", scheduler="sh", flags=["sh-ports"]
    ),
    put_service("one-packet scheduling of TCP", "/flags", "none", flags=["ops"]),
    put_service("flags that are text", "/flags", "a list", flags="ops"),
    put_service(
        "persistence for no time",
        "/persistence/timeout",
        "1s to 31d",
        persistence={"timeout": "0s"},
    ),
    put_service(
        "persistence for 32 days",
        "/persistence/timeout",
        "1s to 31d",
        persistence={"timeout": "32d"},
    ),
    put_service(
        "a timeout without a unit",
        "/persistence/timeout",
        "s, m, h or d",
        persistence={"timeout": 300},
    ),
    put_service(
        "persistence of a network of 33 bits",
        "/persistence/netmask",
        "1 to 32",
        persistence={"timeout": "300s", "netmask": 33},
    ),
    put_service(
        "an unknown field within",
        "/persistence/engine",
        "timeout, netmask",
        persistence={"timeout": "300s", "engine": "sip"},
    ),
    put_service("an unknown pool", "/pool", "web, dns, spare", pool="webb"),
    put_service("an unknown field", "/real_servers", "scheduler", real_servers=[]),
    put_service("a field with a slash in its name", "/a~1b~0c", "scheduler", **{"a/b~c": 1}),
    put_service("another name than the address", "/name", "new", name="old"),
    put_service("a name that is a number", "/name", "new", name=7),
    put(SERVICE, "an empty document", "/vip", "virtual address", {}),
    put(SERVICE, "a list for an object", "", "an object", []),
    put(SERVICE, "null for an object", "", "an object", None),
    put(SERVICE, "text for an object", "", "an object", "web"),
    put("/v1/services/-web", "a name with a dash first", "/name", "letter or digit", service()),
    put(f"/v1/services/{LONG}", "a name of 64 letters", "/name", "1 to 63", service()),
    put("/v1/services/web%0A", "a name with a line's end", "/name", "1 to 63", service()),
    put("/v1/services/w%C3%A9b", "a name that is not ASCII", "/name", "letters", service()),
    Refusal("a name with a slash", "PUT", "/v1/services/a%2Fb", service(), 404, "", ""),
    put_server("weight -1", "/weight", "0 to 65535", weight=-1),
    put_server("weight 70000", "/weight", "0 to 65535", weight=70000),
    put_server("a weight of text", "/weight", "a whole number", weight="100"),
    put_server("a weight beyond all bounds", "/weight", "0 to 65535", weight=10**400),
    put_server("a lower threshold above", "/lower_threshold", "0 to 5",
               upper_threshold=5, lower_threshold=6),
    put_server("an address of another server", "/address", "once in a pool", address="192.0.2.12"),
    put_server("an address that is a VIP", "", "of its own", address=WEB["vip"]),
    put_server("an address that is a director's", "/address", "own address", address="192.0.2.10"),
    put_tunnel("a gue port of 0", "/port", "1 to 65535", type="gue", port=0),
    put_tunnel("a gue port of 65536", "/port", "1 to 65535", type="gue", port=65536),
    put_tunnel("gre with a port", "/port", "leave it out", type="gre", port=6080),
    put_tunnel("gre with port 0", "/port", "1 to 65535", type="gre", port=0),
    put_tunnel("a port without a type", "/port", "leave it out", port=5555),
    put_tunnel("ipip with a checksum", "/checksum", "leave it out", type="ipip", checksum=True),
    put_tunnel("a checksum that is a number", "/checksum", "true or false", type="gre", checksum=1),
    put_tunnel("an MTU of 10", "/mtu", "576 to 65535", type="gre", mtu=10),
    put_tunnel("an MTU of 65536", "/mtu", "576 to 65535", type="gre", mtu=65536),
    put_tunnel("an MTU of text", "/mtu", "a whole number", type="gre", mtu="1400"),
    put_tunnel("an unknown type", "/type", "'ipip', 'gre' or 'gue'", type="vxlan"),
    put_tunnel("a type in capitals", "/type", "'ipip', 'gre' or 'gue'", type="GRE"),
    put_tunnel("remote checksums", "/remcsum", "port, checksum, mtu", type="gue", remcsum=True),
    put_server("a server's own gre with a port", "/tunnel/port", "leave it out",
               tunnel={"type": "gre", "port": 6080}),
    put_server("a server's own tunnel without a type", "/tunnel/type", "ipip, gre or gue",
               tunnel={"mtu": 1400}),
    put(POOL, "an MTU of 1000 to an IPv6 server", "/tunnel/mtu", "1280 to 65535",
        {"tunnel": {"mtu": 1000}, "real_servers": [{"name": "a", "address": "2001:db8::11"}]}),
    put(POOL, "a server's own MTU that is too small for IPv6", "/real_servers/0/tunnel/mtu",
        "1280 to 65535", {"real_servers": [
            {"name": "a", "address": "2001:db8::11", "tunnel": {"type": "gre", "mtu": 1279}}]}),
    put(FARM, "an MTU of 1000 for an IPv6 VIP", "/pools/0/tunnel/mtu", "1280 to 65535",
        farm(services=[service(name="web", vip="2001:db8::1")],
             pools=[{"name": "web", "tunnel": {"mtu": 1000}}])),
    put(POOL, "a health check of no type", "/health_checks/0/type", "tcp, http",
        {"health_checks": [{}]}),
    put(POOL, "a health check of an unknown type", "/health_checks/0/type", "tcp, http",
        {"health_checks": [{"type": "smtp"}]}),
    put(POOL, "a health check that never pauses", "/health_checks/0/interval", "100ms to",
        {"health_checks": [{"type": "tcp", "port": 80, "interval": "0s"}]}),
    put(POOL, "a health check on port 0", "/health_checks/0/port", "1 to 65535",
        {"health_checks": [{"type": "tcp", "port": 0}]}),
    put(POOL, "a program through the tunnel", "/health_checks/0/through", "direct",
        {"health_checks": [{"type": "exec", "program": "a", "through": "tunnel"}]}),
    put(POOL, "one question twice", "/health_checks/1", "each request once per port",
        {"health_checks": [{"type": "tcp", "port": 80}, {"type": "tcp", "port": 80, "rise": 9}]}),
    put(POOL, "a pattern that is none", "/health_checks/0/body", "RE2 syntax",
        {"health_checks": [{"type": "http", "port": 80, "body": "("}]}),
    put(POOL, "an unknown on_down", "/on_down", "quiesce", {"on_down": "drop"}),
    put(POOL, "a slow start of one step", "/slow_start/steps", "2 to 100",
        {"slow_start": {"over": "30s", "steps": 1}}),
    put(POOL, "a quorum of nobody", "/quorum/servers", "1 to", {"quorum": {"servers": 0}}),
    put(POOL, "a share of 101 percent", "/panic_below", "0 to 100", {"panic_below": 101}),
    put_service("a sorry server of the pool itself", "/sorry_server", "outside the pool",
                sorry_server="192.0.2.11"),
    put(POOL, "a server without an address", "/real_servers/0/address", "RIP",
        {"real_servers": [{"name": "rs1"}]}),
    put(POOL, "one server name twice", "/real_servers/1/name", "once",
        {"real_servers": [{"name": "a", "address": "192.0.2.31"},
                          {"name": "a", "address": "192.0.2.32"}]}),
    put(POOL, "a server name with a slash", "/real_servers/0/name", "letters",
        {"real_servers": [{"name": "a/b", "address": "192.0.2.31"}]}),
    put(FARM, "a farm without sections", "/services", "empty list", {}),
    put(FARM, "a farm without pools", "/pools", "empty list", {"services": []}),
    put(FARM, "one service name twice", "/services/1/name", "once", farm(services=[WEB, WEB])),
    put(FARM, "one pool name twice", "/pools/1/name", "once",
        farm(services=[], pools=[{"name": "a"}, {"name": "a"}])),
    put(FARM, "a problem deep within", "/pools/0/real_servers/1/weight", "0 to 65535",
        farm(services=[], pools=[{"name": "a", "real_servers": [
            {"name": "b", "address": "192.0.2.31"},
            {"name": "c", "address": "192.0.2.32", "weight": 65536}]}])),
    put(FARM, "a service whose pool is missing", "/services/1/pool", "web", farm(
        services=[WEB, DNS], pools=[EXAMPLE["pools"][0]])),
    put(FARM, "a director of one name twice", "/directors/1/name", "once", farm(
        directors=[{"name": "a", "addresses": []}, {"name": "a", "addresses": []}])),
    put(FARM, "a director's address that is none", "/directors/0/addresses/0", "192.0.2.11",
        farm(directors=[{"name": "a", "addresses": ["lb1"]}])),
    put(FARM, "an unknown sysctl", "/settings/sysctls/conntrack", "sloppy_tcp",
        farm(settings={"sysctls": {"conntrack": 1}})),
    put(FARM, "a sysctl out of range", "/settings/sysctls/sloppy_tcp", "0 to 1",
        farm(settings={"sysctls": {"sloppy_tcp": 2}})),
    put(FARM, "a sysctl that is true", "/settings/sysctls/sloppy_tcp", "a whole number",
        farm(settings={"sysctls": {"sloppy_tcp": True}})),
    put(FARM, "an idle time of 0", "/settings/timeouts/tcp", "1s to 31d",
        farm(settings={"timeouts": {"tcp": "0s"}})),
    put(FARM, "marks the wrong way round", "/settings/probe_marks", "32 to",
        farm(settings={"probe_marks": "0x20-0x10"})),
    put(FARM, "marks that are numbers", "/settings/probe_marks", "0x4c560000",
        farm(settings={"probe_marks": 16})),
    put(FARM, "ports the wrong way round", "/settings/probe_ports", "61000 to",
        farm(settings={"probe_ports": "61000-60000"})),
    put(FARM, "ports that are a number", "/settings/probe_ports", "61000-64999",
        farm(settings={"probe_ports": 61000})),
    put(FARM, "ports in other digits", "/settings/probe_ports", "61000-64999",
        farm(settings={"probe_ports": "٦١٠٠٠-٦٤٩٩٩"})),
    put(FARM, "an unknown owner of VIPs", "/settings/vips", "manage",
        farm(settings={"vips": "keepalived"})),
    Refusal("a farm that removes most services", "PUT", FARM, farm(services=[WEB]), 409, "", ""),
    Refusal("a farm that removes all servers of a service", "PUT", FARM,
            farm(pools=[{"name": "web"}, *EXAMPLE["pools"][1:]]), 409, "", ""),
    Refusal("a pool that is in use", "DELETE", "/v1/pools/web", None, 409, "", ""),
    Refusal("a service that is missing", "DELETE", SERVICE, None, 404, "", ""),
    Refusal("a patch of a service that is missing", "PATCH", SERVICE, {}, 404, "", ""),
    Refusal("a server in a pool that is missing", "PUT", "/v1/pools/none/real-servers/rs1",
            {"address": "192.0.2.31"}, 404, "", ""),
    Refusal("an override of a server that is missing", "PUT",
            "/v1/pools/web/real-servers/rs9/override", {"state": "draining"}, 404, "", ""),
    Refusal("a patch to a bad value", "PATCH", "/v1/services/web", {"scheduler": "best"}, 422,
            "/scheduler", "wlc"),
    Refusal("a patch with an unknown field", "PATCH", "/v1/services/web", {"port": 80}, 422,
            "/port", "ports"),
    Refusal("a patch that is no object", "PATCH", "/v1/services/web", [], 422, "", "an object"),
    Refusal("a patch of the name", "PATCH", "/v1/services/web", {"name": "w"}, 422, "/name", "web"),
    put(OVERRIDE, "an unknown state", "/state", "'draining'", {"state": "drained"}),
    put(OVERRIDE, "a run-time weight of 65536", "/weight", "0 to 65535", {"weight": 65536}),
    put(OVERRIDE, "a deadline without a drain", "/deadline", "draining",
        {"state": "disabled", "deadline": "2026-01-01T00:01:00Z"}),
    put(OVERRIDE, "a deadline that is over", "/deadline", "a future time",
        {"state": "draining", "deadline": "2025-12-31T23:59:59Z"}),
    put(OVERRIDE, "a deadline in a thousand years", "/deadline", "31d",
        {"state": "draining", "deadline": "3026-01-01T00:00:00Z"}),
    put(OVERRIDE, "a deadline in local time", "/deadline", "UTC",
        {"state": "draining", "deadline": "2026-01-01T00:01:00+01:00"}),
    put(OVERRIDE, "a deadline on no day", "/deadline", "UTC",
        {"state": "draining", "deadline": "2026-02-30T00:01:00Z"}),
    put(OVERRIDE, "two deadlines", "/deadline_in", "deadline or deadline_in",
        {"state": "draining", "deadline": "2026-01-01T00:01:00Z", "deadline_in": "60s"}),
    put(OVERRIDE, "a deadline at once", "/deadline_in", "1s to 31d",
        {"state": "draining", "deadline_in": "0s"}),
    put(OVERRIDE, "a deadline in a million years", "/deadline_in", "1s to 31d",
        {"state": "draining", "deadline_in": "999999999d"}),
    put(OVERRIDE, "an end without a deadline", "/at_deadline", "leave it out",
        {"state": "draining", "at_deadline": "cut"}),
    put(OVERRIDE, "an unknown end", "/at_deadline", "'keep'",
        {"state": "draining", "deadline_in": "60s", "at_deadline": "kill"}),
    put(OVERRIDE, "a reason of two lines", "/reason", "one line", {"reason": "a\nb"}),
    put(OVERRIDE, "a reason without end", "/reason", "500", {"reason": "a" * 501}),
    put(MODE, "an unknown mode", "/mode", "'observe'", {"mode": "pause"}),
    put(MODE, "an end that is a number", "/for", "s, m, h or d", {"mode": "observe", "for": 30}),
    put(MODE, "an end at once", "/for", "1s to 31d", {"mode": "observe", "for": "0s"}),
    put(MODE, "an end in a million years", "/for", "31d", {"mode": "observe", "for": "999999999d"}),
    put(MODE, "an end of enforcing", "/for", "leave it out", {"mode": "enforce", "for": "5m"}),
    put(MODE, "an unknown field of the mode", "/until", "mode, for, reason",
        {"mode": "observe", "until": "2026-01-01T00:00:00Z"}),
    put(AGENT, "an agent of an unknown pool", "/pools/0", "web, dns, spare",
        {"address": "192.0.2.13", "pools": ["webb"]}),
    put(AGENT, "an agent without an address", "/address", "", {"pools": ["web"]}),
    put(AGENT, "an agent's weight of 65536", "/weight", "0 to 65535",
        {"address": "192.0.2.13", "pools": ["web"], "weight": 65536}),
    put(AGENT, "an agent at a VIP", "/address", "of its own",
        {"address": WEB["vip"], "pools": ["web"]}),
    put("/v1/agents/a%20b", "an agent's name with a space", "/name", "letters",
        {"address": "192.0.2.13", "pools": ["web"]}),
    Refusal("an agent with a declared server's name elsewhere", "PUT", "/v1/agents/rs1",
            {"address": "192.0.2.13", "pools": ["web"]}, 409, "", ""),
    Refusal("a report of an agent that is unknown", "PUT", REPORT,
            {"farm_id": "", "ready": [], "tunnels": []}, 404, "", ""),
    Refusal("a query parameter that is unknown", "PUT", f"{FARM}?dryrun=true", farm(services=[]),
            422, "", "dry_run, force, wait"),
    Refusal("a query parameter twice", "PUT", f"{FARM}?dry_run=true&dry_run=false",
            farm(services=[]), 422, "", "once"),
    Refusal("a query parameter that is no truth", "PUT", f"{FARM}?dry_run=maybe",
            farm(services=[]), 422, "", "boolean"),
    Refusal("a wait of a negative time", "PUT", f"{SERVICE}?wait=-1", service(), 422, "", "0"),
    Refusal("a wait of more than a minute", "PUT", f"{SERVICE}?wait=61", service(), 422, "", "60"),
    Refusal("a wait of no number", "PUT", f"{SERVICE}?wait=nan", service(), 422, "", "number"),
    Refusal("a method that is not taken", "POST", FARM, farm(), 405, "", ""),
    Refusal("an address that is not there", "PUT", "/v1/service/web", service(), 404, "", ""),
    Refusal("an address with a slash at its end", "PUT", f"{SERVICE}/", service(), 404, "", ""),
]  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.sentence for refusal in REFUSALS])
def test_is_refused(bench: Bench, refusal: Refusal) -> None:
    """The answer points at what is wrong and says what is allowed; nothing was changed."""
    before = bench.revision, bench.daemon.mode.current, bench.kernel.table()

    answer = bench.request(
        refusal.method,
        refusal.address,
        content=json_of(refusal.body),
        headers={"Content-Type": "application/json"},
    )

    assert refusal.status == answer.status_code, answer.text
    assert "application/problem+json" == answer.headers["Content-Type"]
    problem = answer.json()
    assert refusal.status == problem["status"]
    assert problem["title"]
    assert problem["detail"]
    if refusal.status == 422:
        assert_named(refusal, problem["errors"])
    assert before == (bench.revision, bench.daemon.mode.current, bench.kernel.table())
    assert [] == bench.get("/v1/plan").json()["operations"]


def assert_named(refusal: Refusal, errors: list[dict[str, str]]) -> None:
    """Check that one of the errors is the one that was expected."""
    at_place = [error for error in errors if error["pointer"] == refusal.pointer]
    assert at_place, errors
    assert all(error["detail"] for error in errors)
    assert any(refusal.allowed in error["allowed"] for error in at_place), at_place


def test_all_that_is_wrong_is_said_at_once(bench: Bench) -> None:
    """A person does not mend one field after the other."""
    body = service(vip="x", ports=["y"], protocol="z", more=1)
    errors = bench.put(SERVICE, json=body).json()["errors"]
    assert {"/vip", "/ports/0", "/protocol", "/more"} == {error["pointer"] for error in errors}


def test_of_very_many_problems_a_hundred_are_listed(bench: Bench) -> None:
    """An answer stays readable."""
    answer = bench.put(SERVICE, json=service(ports=["x"] * 5000)).json()
    assert 100 == len(answer["errors"])
    assert "more than 100 problems" in answer["detail"]
