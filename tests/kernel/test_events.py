"""Events and metrics of a real director: of what is done to its kernel, and over its death."""

import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from deploy.lab.client import requests, served_by
from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from lvsctl.director.agents.contacts import LOST_AFTER_S
from lvsctl.director.loop import TIMER_S
from tests.kernel.farms import SERVERS, VIP, start

BY_THE_TIMER_S = 3 * TIMER_S
COUNTERS_LAG_S = 3 * 2.0


def told(daemons: FarmDaemons, after: int = 0) -> list[Json]:
    """Return the events that the director tells."""
    answer = daemons.api.ask("GET", f"/v1/events?after={after}&follow=false")
    lines = answer.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def kinds(daemons: FarmDaemons, after: int = 0) -> set[object]:
    """Return which kinds of events the director tells."""
    return {event["kind"] for event in told(daemons, after)}


def test_drift_a_kill_and_a_silent_agent_are_told(network: BuildNetwork, tmp_path: Path) -> None:
    """Drift is put right and told; a killed director loses no event and gives no id twice."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)
    last = int(str(told(daemons)[-1]["id"]))
    built["lb1"].run(["ipvsadm", "-D", "-t", f"{VIP}:80"])
    poll(lambda: "drift" in kinds(daemons, last), BY_THE_TIMER_S)
    (drift,) = [event for event in told(daemons, last) if event["kind"] == "drift"]
    assert f"add service tcp {VIP}:80 rr" in str(drift["items"])

    before = told(daemons)
    assert daemons.director is not None
    daemons.director.kill()
    daemons.start_director()
    daemons.agents["rs1"].kill()
    after = told(daemons)
    assert before == after[: len(before)]
    poll(lambda: "agent-lost" in kinds(daemons), 3 * LOST_AFTER_S)
    assert {"rs1"} == {e["subject"] for e in told(daemons) if e["kind"] == "agent-lost"}
    daemons.start_agent("rs1")
    poll(lambda: "agent-returned" in kinds(daemons), BY_THE_TIMER_S)
    ids = [event["id"] for event in told(daemons)]
    assert [*range(1, len(ids) + 1)] == ids


def test_the_kernels_counters_are_metrics(network: BuildNetwork, tmp_path: Path) -> None:
    """Thirty requests are thirty connections, ten for each server."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)

    def scheduled() -> dict[str, float]:
        text = daemons.api.ask("GET", "/metrics").text
        return {
            sample.labels["server"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "lvsctl_ipvs_destination_connections_total"
        }

    before = scheduled()
    served = served_by(requests(built["c1"], VIP, count=30))
    assert dict.fromkeys(SERVERS, 10) == dict(served)
    expected = {server: before[server] + 10 for server in SERVERS}
    poll(scheduled, COUNTERS_LAG_S, until=lambda now: now == expected)
