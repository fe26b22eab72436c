"""Metrics, as a Prometheus reads them."""

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lvsctl.errors import KernelError
from tests.api.bench import START, Bench, Request

Samples = Mapping[str, Mapping[frozenset[tuple[str, str]], float]]

AT_80 = "192.0.2.11:80"
WEB = {"service": "web", "virtual_service": "tcp 198.51.100.10:80"}
RS1 = {**WEB, "server": "rs1", "address": "192.0.2.11"}


def scraped(bench: Bench) -> Samples:
    """Return every sample by its name and labels."""
    answer = bench.get("/metrics")
    assert 200 == answer.status_code
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = frozenset(sample.labels.items())
            assert labels not in found.setdefault(sample.name, {}), "a sample stands there twice"
            found[sample.name][labels] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """Return one sample, None where it is not there."""
    return samples.get(name, {}).get(frozenset(labels.items()))


def test_the_kernels_table_is_there_with_weights_and_connections(bench: Bench) -> None:
    """By service, virtual service, server and address."""
    bench.ipvs.connections = {AT_80: 17}
    samples = scraped(bench)
    assert 100 == value(samples, "lvsctl_ipvs_destination_weight", **RS1)
    assert 17 == value(samples, "lvsctl_ipvs_destination_active_connections", **RS1)
    assert 0 == value(samples, "lvsctl_ipvs_destination_connections_total", **RS1)
    assert 0 == value(samples, "lvsctl_ipvs_service_incoming_bytes_total", **WEB)
    assert 1 == value(samples, "lvsctl_ipvs_readable")
    assert 4 == value(samples, "lvsctl_virtual_services", state="applied")
    assert 4 == len(samples["lvsctl_ipvs_service_connections_total"])
    assert 7 == len(samples["lvsctl_ipvs_destination_weight"])


def test_virtual_services_of_others_are_there_without_a_service(bench: Bench) -> None:
    """They share this director's kernel."""
    bench.occupy("198.51.100.77", "192.0.2.66")
    labels = {"service": "", "virtual_service": "tcp 198.51.100.77:80", "server": ""}
    samples = scraped(bench)
    assert 1 == value(samples, "lvsctl_ipvs_destination_weight", **labels, address="192.0.2.66")


def test_a_drain_is_seen(bench: Bench) -> None:
    """The weight that should be, that of the kernel, and what is left."""
    bench.ipvs.connections = {AT_80: 17}
    bench.put("/v1/pools/web/real-servers/rs1/override?wait=10", json={"state": "draining"})
    bench.portal.call(bench.daemon.drains.look)
    samples = scraped(bench)
    wanted = {"service": "web", "pool": "web", "server": "rs1"}
    assert 0 == value(samples, "lvsctl_real_server_weight", **wanted)
    assert 0 == value(samples, "lvsctl_ipvs_destination_weight", **RS1)
    assert 17 == value(samples, "lvsctl_draining_connections", pool="web", server="rs1")


def test_the_reconciler_is_seen(bench: Bench) -> None:
    """Cycles as a histogram in seconds, operations by kind and result."""
    samples = scraped(bench)
    name = "lvsctl_reconciler_cycle_duration_seconds"
    cycles = value(samples, f"{name}_count")
    assert cycles is not None
    assert cycles >= 2
    assert cycles == value(samples, f"{name}_bucket", le="+Inf")
    operations = "lvsctl_reconciler_operations_total"
    assert 4 == value(samples, operations, operation="AddService", result="done")
    assert 7 == value(samples, operations, operation="AddDestination", result="done")
    assert START.timestamp() == value(samples, "lvsctl_reconciler_last_cycle_timestamp_seconds")
    assert bench.revision == value(samples, "lvsctl_farm_revision")
    assert 0 == value(samples, "lvsctl_director_observes")


def test_agents_are_seen(bench: Bench) -> None:
    """When each was last heard of, and where it stands."""
    bench.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": ["web"]})
    seen = "lvsctl_agent_last_report_timestamp_seconds"
    assert None is value(scraped(bench), seen, agent="rs3")
    bench.clock.advance(10)
    report = {"farm_id": "x", "ready": [], "tunnels": []}
    assert 204 == bench.put("/v1/agents/rs3/report", json=report).status_code
    samples = scraped(bench)
    assert START.timestamp() + 10 == value(samples, seen, agent="rs3")
    assert 1 == value(samples, "lvsctl_agent_info", agent="rs3", membership="joined")


def test_a_kernel_that_cannot_be_read_is_a_metric_and_no_error(bench: Bench) -> None:
    """Everything else is there."""
    bench.ipvs.broken = KernelError("netlink is out of buffers")
    samples = scraped(bench)
    assert 0 == value(samples, "lvsctl_ipvs_readable")
    assert "lvsctl_ipvs_destination_weight" not in samples
    assert bench.revision == value(samples, "lvsctl_farm_revision")


def test_a_director_without_a_farm_can_be_scraped(fresh: Bench) -> None:
    """It has no cycle behind it."""
    samples = scraped(fresh)
    assert 0 == value(samples, "lvsctl_reconciler_cycle_duration_seconds_count")
    assert "lvsctl_reconciler_last_cycle_timestamp_seconds" not in samples


def test_who_scrapes_at_the_same_time_shares_one_scrape(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is read once."""
    reads = []
    read = bench.ipvs.timeouts

    def counted() -> object:
        reads.append(1)
        return read()

    monkeypatch.setattr(bench.ipvs, "timeouts", counted)
    answers = bench.at_once(*[Request("GET", "/metrics", {})] * 20)
    assert {200} == {answer.status_code for answer in answers}
    assert len(reads) < 20 / 2


def test_a_name_of_a_metric_keeps_to_the_conventions(bench: Bench) -> None:
    """Counters end in total, and nothing is in milliseconds."""
    for family in text_string_to_metric_families(bench.get("/metrics").text):
        if not family.name.startswith("lvsctl_"):
            continue
        assert family.type in ("counter", "gauge", "histogram", "info"), family.name
        assert not family.name.endswith(("_ms", "_milliseconds", "_kb")), family.name
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)


def test_the_metrics_are_those_that_dashboards_and_alerts_know(bench: Bench) -> None:
    """By name, type and labels."""
    bench.check_health("web")
    found = {
        family.name: (family.type, {label for sample in family.samples for label in sample.labels})
        for family in text_string_to_metric_families(bench.get("/metrics").text)
        if family.name.startswith("lvsctl_")
    }
    destination = {"service", "virtual_service", "server", "address"}
    assert {
        "lvsctl_build_info": ("gauge", {"version", "director"}),
        "lvsctl_reconciler_cycle_duration_seconds": ("histogram", {"le"}),
        "lvsctl_reconciler_failed_cycles": ("counter", set()),
        "lvsctl_reconciler_operations": ("counter", {"operation", "result"}),
        "lvsctl_farm_revision": ("gauge", set()),
        "lvsctl_director_observes": ("gauge", set()),
        "lvsctl_reconciler_last_cycle_timestamp_seconds": ("gauge", set()),
        "lvsctl_virtual_services": ("gauge", {"state"}),
        "lvsctl_foreign_virtual_services": ("gauge", set()),
        "lvsctl_vip_problems": ("gauge", set()),
        "lvsctl_host_problems": ("gauge", set()),
        "lvsctl_agent_info": ("gauge", set()),
        "lvsctl_agent_last_report_timestamp_seconds": ("gauge", set()),
        "lvsctl_real_server_weight": ("gauge", {"service", "pool", "server"}),
        "lvsctl_draining_connections": ("gauge", set()),
        "lvsctl_real_server_healthy": ("gauge", {"pool", "server", "vip"}),
        "lvsctl_health_check_frozen": ("gauge", {"pool", "server", "vip", "check", "port"}),
        "lvsctl_service_healthy_servers": ("gauge", {"service"}),
        "lvsctl_service_panic": ("gauge", {"service"}),
        "lvsctl_service_sorry": ("gauge", {"service"}),
        "lvsctl_service_lost_quorum": ("gauge", {"service"}),
        "lvsctl_probe_duration_seconds": ("histogram", set()),
        "lvsctl_probe_lateness_seconds": ("histogram", {"le"}),
        "lvsctl_probe_inconclusive": ("counter", set()),
        "lvsctl_ipvs_readable": ("gauge", set()),
        "lvsctl_ipvs_service_connections": ("counter", {"service", "virtual_service"}),
        "lvsctl_ipvs_service_incoming_packets": ("counter", {"service", "virtual_service"}),
        "lvsctl_ipvs_service_incoming_bytes": ("counter", {"service", "virtual_service"}),
        "lvsctl_ipvs_destination_weight": ("gauge", destination),
        "lvsctl_ipvs_destination_connections": ("counter", destination),
        "lvsctl_ipvs_destination_incoming_packets": ("counter", destination),
        "lvsctl_ipvs_destination_incoming_bytes": ("counter", destination),
        "lvsctl_ipvs_destination_active_connections": ("gauge", destination),
        "lvsctl_ipvs_destination_inactive_connections": ("gauge", destination),
        "lvsctl_ipvs_destination_persistent_connections": ("gauge", destination),
    } == found
