"""Farms whose servers are checked, as the tests in this folder use them."""

from collections.abc import Mapping
from typing import Any

from deploy.lab.application import HTTP_PORT
from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.poll import poll
from tests.kernel.farms import SERVERS, farm, service

INTERVAL_S, FAST_S, TIMEOUT_S, RISE, FALL, JITTER = 0.6, 0.3, 0.9, 2, 2, 0.1
"""A server that answers may take 0.3 s for it in a busy guest; three times that is the timeout."""
CHECK: Json = {
    "type": "http",
    "port": HTTP_PORT,
    "body": '"server"',
    "interval": "600ms",
    "fast_interval": "300ms",
    "timeout": "900ms",
    "rise": RISE,
    "fall": FALL,
    "jitter": JITTER,
}
DETECTED_S = INTERVAL_S * (1 + JITTER) + (FALL - 1) * max(FAST_S, TIMEOUT_S) + TIMEOUT_S + 1.5
RISEN_S = INTERVAL_S * (1 + JITTER) + (RISE - 1) * FAST_S + 1.5
WITHIN_S = 3 * DETECTED_S


def checked_farm(
    tunnel: str = "ipip", *, pool: Mapping[str, object] | None = None, **of_service: object
) -> Json:
    """Return the document of a farm with one service over a pool that is checked."""
    pools: list[Json] = [
        {"name": "web", "tunnel": {"type": tunnel}, "health_checks": [CHECK], **(pool or {})}
    ]
    return farm([service(**of_service)], pools)


def members(daemons: FarmDaemons, pool: str = "web") -> dict[str, Any]:
    """Return each server of a pool with its status."""
    listed = daemons.api.get(f"/v1/pools/{pool}")["status"]["real_servers"]  # type: ignore[index]
    return {each["name"]: each for each in listed}


def healths(daemons: FarmDaemons) -> dict[str, str]:
    """Return what the checks say of each server."""
    return {name: each["health"] for name, each in members(daemons).items()}


def wait_for_health(
    daemons: FarmDaemons, within_s: float = WITHIN_S, pool: str = "web", **expected: str
) -> None:
    """Wait until the checks say so of some servers, and the kernel's table is as they say.

    Args:
        daemons: The farm.
        within_s: For how long.
        pool: Whose servers; its service has the same name.
        expected: The health of each.
    """

    def seen() -> tuple[dict[str, str], dict[str, bool]]:
        found, served = members(daemons, pool), daemons.served(pool)
        return (
            {name: found[name]["health"] for name in expected},
            {name: found[name]["address"] in served for name in expected},
        )

    serves = {name: said == "up" for name, said in expected.items()}
    poll(seen, within_s, until=lambda found: found == (expected, serves))


def checks_of(daemons: FarmDaemons, server: str) -> list[Any]:
    """Return what each check says of a server, for the first VIP of its pool."""
    status: Any = daemons.api.get(f"/v1/pools/web/real-servers/{server}")["status"]
    checks: list[Any] = status["health"][0]["checks"]
    return checks


def reason(daemons: FarmDaemons, server: str, pool: str = "web") -> str:
    """Return why a server stands as it does."""
    return str(members(daemons, pool)[server]["reason"])


def all_up(daemons: FarmDaemons, pool: str = "web") -> bool:
    """Say whether every server of a pool has passed and none is frozen."""
    found = members(daemons, pool)
    return set(found) >= set(SERVERS) and all(
        each["health"] == "up" and each["weight"] and not each["reason"] for each in found.values()
    )
