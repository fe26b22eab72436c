"""An agent against a director that answers whatever it likes; minutes pass in no time.

Whatever comes, the host stays as it is, the agent lives, says what is wrong, and follows a good
answer afterwards.
"""

import asyncio
import copy
import json
import tracemalloc
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from structlog.testing import capture_logs

from lvsctl.agent.director_client import HttpDirectorClient
from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    HostChange,
    RouteConfig,
    RouteKey,
)
from lvsctl.host.memory import MemoryHost
from lvsctl.results import Done
from tests.support.hostile_director import BODIES, CASES, HEADS, Case, Farm, Hostile
from tests.support.scripted_network import scripted_transport
from tests.unit.agent.bench import RIP, VIPS
from tests.unit.agent.site import Site, text
from tests.unit.virtual_time import run

DIRECTOR = "198.18.5.10"
FARM = Farm(
    farm_id="f1",
    agent="rs2",
    vips=tuple(text(*VIPS[:2])),
    rip=str(RIP),
    network="192.0.2",
    gateway="192.0.2.1",
    director=DIRECTOR,
    client="203.0.113.201",
    epoch=3,
    revision=9,
)
PATIENCE_S, SLOW_PATIENCE_S = 6.0, 75.0
"""Long enough for several attempts; the slowest kind takes 35 s each."""
MAX_BYTES = 24 * 1024 * 1024
"""Of memory, for one answer: what is read twice over, and what it is parsed into."""

MOST_REPORTED = 128 * 1024


class Scene:
    """A real server in a network, and the director that it asks."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.director = Hostile(FARM)
        client = HttpDirectorClient(
            f"http://{DIRECTOR}:8080",
            transport=scripted_transport(self.director.script, self._sent),
        )
        site.directors = [client]  # type: ignore[list-item]
        put(site.memory, AddressKey("eth0", ip_interface(f"{RIP}/24")), AddressConfig())
        put(
            site.memory,
            RouteKey(MAIN_TABLE, ip_network("0.0.0.0/0")),
            RouteConfig("eth0", ip_address(FARM.gateway)),
        )

    @property
    def told(self) -> str:
        """All that the agent says is wrong."""
        findings = [
            f"{finding.subject} {finding.detail} {finding.cure}"
            for finding in self.site.status.report.findings
        ]
        return "\n".join([self.site.status.contact.problem, *findings])

    def host(self) -> object:
        """Everything that there is on the host."""
        state = copy.deepcopy(vars(self.site.memory))
        return state | {"_sysctls": vars(state["_sysctls"])}

    def _sent(self, count: int) -> None:
        self.director.sent += count


def put(
    memory: MemoryHost, key: AddressKey | RouteKey, config: AddressConfig | RouteConfig
) -> None:
    assert [Done()] == list(memory.apply([HostChange(key, config)]))


@pytest.fixture
def scene(site: Site) -> Scene:
    return Scene(site)


@pytest.fixture
def traced(case: Case) -> Iterator[None]:
    """Count memory where an answer is large; it takes its time."""
    if case in {**HEADS, **BODIES}.values():
        tracemalloc.start()
    yield
    tracemalloc.stop()


def test_there_are_enough() -> None:
    """The issue asks for 40."""
    assert len(CASES) >= 100


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_whatever_is_answered_the_host_serves_on(scene: Scene, case: Case, traced: None) -> None:  # noqa: ARG001
    """No change, no end, no defect, the reason, bounded memory, and then a good answer."""
    patience_s = SLOW_PATIENCE_S if case.slow else PATIENCE_S

    async def scenario() -> None:
        async with scene.site.running(3) as agent:
            serving = scene.host()
            assert text(*VIPS[:2]) == scene.site.served[1:]  # the first is the RIP

            before, _ = tracemalloc.get_traced_memory()
            scene.director.turn(case)
            await asyncio.sleep(patience_s)

            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < MAX_BYTES
            assert serving == scene.host()
            assert scene.director.asked > 1
            assert scene.director.sent / scene.director.asked < 5 * 1024 * 1024
            assert case.told in scene.told
            assert len(json.dumps(scene.director.reports[-1])) < MOST_REPORTED
            assert len(scene.told) < MOST_REPORTED

            scene.director.vips = tuple(text(VIPS[0]))
            scene.director.turn(None)
            agent.host_changed()
            await asyncio.sleep(10 + patience_s)
            assert text(VIPS[0]) == scene.site.served[1:]
            assert "" == scene.told.strip()

    with capture_logs() as logs:
        run(scenario())
    assert [] == [entry for entry in logs if entry.get("exc_info")]
