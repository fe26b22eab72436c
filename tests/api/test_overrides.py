"""Draining, disabling and run-time weights over REST."""

import pytest

from tests.api.bench import AnyName, Bench

SERVER = "/v1/pools/web/real-servers/rs1"
OVERRIDE = f"{SERVER}/override"
KEY = "tcp 198.51.100.10:80"


def weight(bench: Bench) -> int | None:
    """Return the server's weight in the kernel, None where it is not there."""
    destinations = bench.kernel.table()[bench.key(KEY)].destinations
    found = {str(at.address): config.weight for at, config in destinations.items()}
    return found.get("192.0.2.11")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"state": "draining"}, 0),
        ({"state": "disabled"}, None),
        ({"state": "enabled"}, 100),
        ({"weight": 7}, 7),
        ({"weight": 0}, 0),
        ({"state": "draining", "weight": 7}, 0),
        ({}, 100),
    ],
)
def test_an_override_is_in_the_kernel(
    bench: Bench, body: dict[str, object], expected: int | None
) -> None:
    """It goes before what is declared."""
    answer = bench.put(f"{OVERRIDE}?wait=10", json=body)
    assert (201, OVERRIDE) == (answer.status_code, answer.headers["Location"])
    assert (True, expected) == (answer.json()["applied"], weight(bench))


def test_an_override_says_who_set_it_when_and_why(bench: Bench) -> None:
    """What is shown can be put back; then the other one has set it, later."""
    bench.daemon.credentials = AnyName()
    ada = {"Authorization": "Bearer admin/ada"}
    bob = {"Authorization": "Bearer operator/bob"}
    bench.put(
        OVERRIDE,
        json={"state": "draining", "reason": "disk"},
        headers=ada,
    )
    shown = bench.get(OVERRIDE, headers=ada).json()
    assert {
        "state": "draining",
        "reason": "disk",
        "by": "ada",
        "since": "2026-01-01T00:00:00Z",
    } == shown
    bench.clock.advance(60)
    answer = bench.put(OVERRIDE, json=shown, headers=bob)
    assert 200 == answer.status_code
    assert (
        shown | {"by": "bob", "since": "2026-01-01T00:01:00Z"}
        == bench.get(OVERRIDE, headers=ada).json()
    )


def test_an_override_ends(bench: Bench) -> None:
    """The server is as it is declared; ending it once more does nothing."""
    bench.put(OVERRIDE, json={"state": "draining"})
    assert bench.delete(f"{OVERRIDE}?wait=10").json()["applied"]
    assert 100 == weight(bench)
    assert 404 == bench.get(OVERRIDE).status_code
    again = bench.delete(OVERRIDE)
    assert (200, []) == (again.status_code, again.json()["changes"])


def test_the_declared_weight_waits_below_an_override(bench: Bench) -> None:
    """A patch of the declaration does not undrain."""
    bench.put(OVERRIDE, json={"state": "draining"})
    bench.patch(f"{SERVER}?wait=10", json={"weight": 30})
    assert 0 == weight(bench)
    bench.delete(f"{OVERRIDE}?wait=10")
    assert 30 == weight(bench)


def test_the_override_of_a_removed_server_can_be_ended(bench: Bench) -> None:
    """It would wait for the server's return for ever."""
    bench.put(OVERRIDE, json={"state": "draining"})
    bench.delete(SERVER)
    answer = bench.delete(OVERRIDE)
    assert ["remove override web/rs1"] == answer.json()["changes"]
    assert 404 == bench.delete(OVERRIDE).status_code
