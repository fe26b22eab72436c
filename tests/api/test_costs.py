"""What a small change costs in a farm of many services: counted, as time depends on the machine."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lvsctl.director.reconcile import desired
from lvsctl.ipvs import table
from lvsctl.store import documents
from tests.api.bench import Bench

SERVICES = 50
OPERATIONS = (
    table.AddService,
    table.EditService,
    table.DeleteService,
    table.AddDestination,
    table.EditDestination,
    table.DeleteDestination,
)
FARM = {
    "services": [
        {"name": f"s{n}", "vip": f"198.51.100.{n}", "ports": [80], "pool": f"p{n}"}
        for n in range(1, SERVICES + 1)
    ],
    "pools": [
        {"name": f"p{n}", "real_servers": [{"name": "rs1", "address": f"10.0.0.{n}"}]}
        for n in range(1, SERVICES + 1)
    ],
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count compiled services by name, decoded documents, and hashed operations."""
    counted: Counter[str] = Counter()

    def counting(name: Callable[..., str], call: Callable[..., Any]) -> Callable[..., Any]:
        def counted_call(*arguments: Any) -> Any:  # noqa: ANN401 - as the call
            counted[name(*arguments)] += 1
            return call(*arguments)

        return counted_call

    compile_state = counting(lambda service, *_: service.name, desired.compile_state)
    monkeypatch.setattr(desired, "compile_state", compile_state)
    decode = counting(lambda *_: "decoded", documents._decode)
    monkeypatch.setattr(documents, "_decode", decode)
    for kind in OPERATIONS:
        hashed = counting(lambda *_: "hashed operation", kind.__hash__)
        monkeypatch.setattr(kind, "__hash__", hashed)
    return counted


@pytest.fixture
def large(fresh: Bench) -> Bench:
    """A director whose cycles a test runs, with all services of a farm in its kernel."""
    assert 200 == fresh.put("/v1/farm", json=FARM).status_code
    fresh.portal.call(fresh.daemon.loop.run_cycle)
    assert SERVICES == len(fresh.kernel.table())
    return fresh


def test_a_changed_weight_compiles_one_service_and_decodes_nothing(
    large: Bench, calls: Counter[str]
) -> None:
    """Neither where it is stored, nor in the cycle that follows."""
    answer = large.patch("/v1/pools/p7/real-servers/rs1", json={"weight": 7})
    assert ["edit 10.0.0.7:80 weight 7 of tcp 198.51.100.7:80"] == answer.json()["operations"]
    large.portal.call(large.daemon.loop.run_cycle)
    assert {"s7"} == calls.keys()


def test_a_new_farm_compiles_each_service_once_and_once_for_the_answers_words(
    fresh: Bench, calls: Counter[str]
) -> None:
    """No operation is hashed, and what was stored is not read back."""
    assert 200 == fresh.put("/v1/farm", json=FARM).status_code
    fresh.portal.call(fresh.daemon.loop.run_cycle)
    assert {f"s{n}": 2 for n in range(1, SERVICES + 1)} == calls


def test_a_table_is_read_in_one_go(large: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counters come with it, for the table as for metrics."""
    reads = []
    read = large.ipvs.counted_snapshot
    monkeypatch.setattr(large.ipvs, "counted_snapshot", lambda: reads.append(1) or read())
    assert SERVICES == len(large.get("/v1/table").json()["services"])
    assert 200 == large.get("/metrics").status_code
    assert [1, 1] == reads
