"""The kernel over REST: its table, what differs, what is somebody else's."""

from lvsctl.ipvs.table import (
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    EditService,
    ForwardingMethod,
    ServiceFlag,
    VirtualServiceConfig,
)
from lvsctl.results import Done
from tests.api.bench import Bench

TAKEN = {"vip": "198.51.100.77", "ports": [80], "pool": "web", "scheduler": "rr"}


def test_the_table_shows_everything_that_stands(bench: Bench) -> None:
    """Ours with the farm's name, others without, in one order, with counters and rates."""
    bench.occupy("198.51.100.77", "192.0.2.40")
    table = bench.get("/v1/table").json()
    assert [
        ("fwmark 7", "marked"),
        ("tcp 198.51.100.10:80", "web"),
        ("tcp 198.51.100.10:443", "web"),
        ("udp 198.51.100.53:53", "dns"),
        ("tcp 198.51.100.77:80", None),
    ] == [(service["key"], service["service"]) for service in table["services"]]
    assert {"tcp": "15m", "tcp_fin": "2m", "udp": "5m"} == table["timeouts"]


def test_the_table_and_metrics_do_not_wait_for_the_writer(bench: Bench) -> None:
    """Both answer while a write to the kernel is under way."""
    bench.ipvs.takes_writes.clear()
    bench.patch("/v1/pools/web/real-servers/rs1", json={"weight": 7})
    services = {item["key"]: item for item in bench.get("/v1/table").json()["services"]}
    metrics = bench.get("/metrics").text
    bench.ipvs.takes_writes.set()
    assert [100, 50] == [each["weight"] for each in services["fwmark 7"]["destinations"]]
    assert "lvsctl_ipvs_destination_weight{" in metrics


def test_a_virtual_service_shows_all_it_has(bench: Bench) -> None:
    """In the words of ipvsadm."""
    services = {item["key"]: item for item in bench.get("/v1/table").json()["services"]}
    web = services["tcp 198.51.100.10:80"]
    assert ("tcp", "198.51.100.10", 80) == (web["protocol"], web["vip"], web["port"])
    assert ("mh", ["mh-fallback", "mh-port"], None) == (
        web["scheduler"],
        web["flags"],
        web["persistence"],
    )
    marked = services["fwmark 7"]
    assert (7, "IPv4") == (marked["fwmark"], marked["family"])
    assert {"timeout": "5m", "netmask": 24, "engine": ""} == marked["persistence"]
    assert ["ops"] == services["udp 198.51.100.53:53"]["flags"]
    (ns1,) = services["udp 198.51.100.53:53"]["destinations"]
    traffic = ns1.pop("traffic")
    assert {
        "address": "192.0.2.21",
        "port": 53,
        "weight": 100,
        "forwarding": "tunnel",
        "tunnel": "ipip",
        "upper_threshold": 0,
        "lower_threshold": 0,
        "active_connections": 0,
        "inactive_connections": 0,
        "persistent_connections": 0,
    } == ns1
    assert {0} == set(traffic.values())
    assert {"connections", "connections_per_s"} <= traffic.keys()


def test_what_lvsctl_would_not_make_is_shown_too(bench: Bench) -> None:
    """Flags that only have numbers, and other forwarding methods."""
    key = bench.occupy("198.51.100.77", "192.0.2.40")
    flags = ServiceFlag.SCHED1 | ServiceFlag.SCHED3
    direct = DestinationConfig(1, ForwardingMethod.DIRECT_ROUTE, encapsulation=None)
    at = DestinationKey(next(iter(bench.kernel.table()[key].destinations)).address, 80)
    for operation in (
        EditService(key, VirtualServiceConfig("lc", flags)),
        EditDestination(key, at, direct),
    ):
        assert Done() == bench.kernel.carry_out(operation)
    shown = bench.get("/v1/table").json()["services"][-1]
    assert ["flag-1", "flag-3"] == shown["flags"]
    (destination,) = shown["destinations"]
    assert ("direct-route", None) == (destination["forwarding"], destination["tunnel"])


def test_the_plan_is_empty_when_all_is_as_it_should_be(bench: Bench) -> None:
    """And nothing is in conflict or foreign."""
    plan = bench.get("/v1/plan").json()
    assert bench.revision == plan.pop("revision")
    assert {
        "operations": [],
        "host_changes": [],
        "conflicts": [],
        "foreign": [],
        "problems": [],
        "problem_reasons": [],
    } == plan


def test_the_plan_shows_drift_and_mends_nothing(bench: Bench) -> None:
    """It only looks, at this moment."""
    bench.put("/v1/mode", json={"mode": "observe"})
    key = bench.key("udp 198.51.100.53:53")
    assert Done() == bench.kernel.carry_out(EditService(key, VirtualServiceConfig("wlc")))
    before = bench.kernel.table()
    assert ["edit service udp 198.51.100.53:53 rr"] == bench.get("/v1/plan").json()["operations"]
    assert before == bench.kernel.table()


def test_the_plan_shows_what_is_foreign_and_what_is_in_conflict(bench: Bench) -> None:
    """A conflict is wanted by the farm, with the way out; the foreign is not."""
    bench.occupy("198.51.100.77")
    assert ["tcp 198.51.100.77:80"] == bench.get("/v1/plan").json()["foreign"]

    bench.put("/v1/services/taken", json=TAKEN)
    plan = bench.get("/v1/plan").json()
    assert [] == plan["foreign"]
    (conflict,) = plan["conflicts"]
    assert ("tcp 198.51.100.77:80", "taken") == (conflict["key"], conflict["service"])
    assert "lvsctl service adopt taken" in conflict["reason"]


def test_a_service_in_conflict_is_adopted(bench: Bench) -> None:
    """By its name; its destinations are edited in place."""
    key = bench.occupy("198.51.100.77", "192.0.2.11")
    bench.put("/v1/services/taken?wait=0", json=TAKEN)
    bench.portal.call(bench.daemon.loop.run_cycle)  # or the kernel's thread may not have come to it
    assert "conflict" == bench.get("/v1/services/taken").json()["status"]["state"]

    answer = bench.post("/v1/services/taken/adopt")
    assert (200, ["tcp 198.51.100.77:80"]) == (answer.status_code, answer.json()["adopted"])
    assert bench.put("/v1/services/taken?wait=10", json=TAKEN).json()["applied"]
    destinations = bench.kernel.table()[key].destinations
    assert {"192.0.2.11": 100, "192.0.2.12": 50} == {
        str(at.address): config.weight for at, config in destinations.items()
    }


def test_everything_in_conflict_is_adopted(bench: Bench) -> None:
    """What the farm does not want is left alone."""
    bench.occupy("198.51.100.77", "192.0.2.11")
    bench.occupy("198.51.100.78", "192.0.2.11")
    bench.put("/v1/services/taken", json=TAKEN)
    assert {"adopted": ["tcp 198.51.100.77:80"]} == bench.post("/v1/adopt").json()
    assert ["tcp 198.51.100.78:80"] == bench.get("/v1/plan").json()["foreign"]


def test_an_adoption_that_removes_destinations_is_forced(bench: Bench) -> None:
    """Without force it is 409 with what would be done."""
    bench.occupy("198.51.100.77", "192.0.2.40")
    bench.put("/v1/services/taken", json=TAKEN)
    for address in ("/v1/services/taken/adopt", "/v1/adopt"):
        refused = bench.post(address)
        assert 409 == refused.status_code
        assert "delete 192.0.2.40:80 from tcp 198.51.100.77:80" in refused.json()["plan"]
    assert 200 == bench.post("/v1/services/taken/adopt?force=true").status_code


def test_a_service_that_is_not_there_is_not_adopted(bench: Bench) -> None:
    """404 with its name."""
    answer = bench.post("/v1/services/none/adopt")
    assert 404 == answer.status_code
    assert "none" in answer.json()["detail"]


def test_what_leads_health_checks_stands_apart(bench: Bench) -> None:
    """In a section of its own: neither the farm's, nor drift, nor foreign, in use or deleted."""
    before = bench.get("/v1/table").json()["services"]
    bench.check_health("dns")

    table = bench.get("/v1/table").json()
    assert before == table["services"]
    (probed,) = table["probes"]
    assert ("fwmark 1280704512", None) == (probed["key"], probed["service"])
    (destination,) = probed["destinations"]
    assert ("192.0.2.21", 0, 1) == tuple(destination[k] for k in ("address", "port", "weight"))
    bench.kernel.carry_out(DeleteService(bench.key("fwmark 1280704512")))
    plan = bench.get("/v1/plan").json()
    assert ([], [], []) == (plan["operations"], plan["foreign"], plan["conflicts"])
    bench.check_health("dns", checked=False)
    assert [] == bench.get("/v1/table").json()["probes"]
