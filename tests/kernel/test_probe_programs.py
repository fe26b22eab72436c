"""Programs that judge real servers from a director: they ask by themselves, and are judged so."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

import pytest

from deploy.lab.application import HTTP_PORT, Application, start_application
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.topology import farm_topology, vip
from lvsctl.farm.checks import ExecRequest
from lvsctl.health.outcome import Inconclusive, Outcome, Passed
from lvsctl.health.probes.kinds import Probes
from lvsctl.health.programs.client import OwnPrograms
from lvsctl.health.programs.run import MAX_OUTPUT
from lvsctl.health.target import Target

VIP = vip(10)
NOBODY = 65534
TIMEOUT_S, LONG_S = 0.5, 20.0
CONNECTS = """
: 2>/dev/null <>/dev/tcp/$LVSCTL_RIP/$1 && exit 0
echo "no port $1 on $LVSCTL_RIP for $LVSCTL_VIP, though $LVSCTL_PORT may answer"; exit 1
"""
PROGRAMS = {
    "connects": CONNECTS,
    "nobody": "id -u; id -G; exit 2",
    "crashes": "kill -SEGV $$",
    "garbles": r"printf '\377\376'; exit 3",
    "floods": r"head -c 2000000 /dev/zero | tr '\0' x; exit 4",
    "drips": "while echo x; do sleep 0.05; done",
    "hangs": "trap '' TERM; sleep 1000 & wait",
    "foreign": "exit 0",
}
TOO_LATE = f"192.0.2.11:80: timed out after {TIMEOUT_S:g} s, waiting for {{}} to end"
REASONS: Mapping[ExecRequest, str] = {
    ExecRequest("connects", (str(HTTP_PORT),)): "",
    ExecRequest("connects", ("9",)): (
        f"connects: exited with 1, no port 9 on 192.0.2.11 for {VIP}, though 80 may answer"
    ),
    ExecRequest("nobody"): f"nobody: exited with 2, {NOBODY} {NOBODY}",
    ExecRequest("crashes"): "crashes: SIGSEGV",
    ExecRequest("garbles"): "garbles: exited with 3, \ufffd\ufffd",
    ExecRequest("floods"): "floods: exited with 4, " + "x" * MAX_OUTPUT,
    ExecRequest("drips"): TOO_LATE.format("drips"),
    ExecRequest("hangs"): TOO_LATE.format("hangs"),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Programs of root's, in a folder that everybody can reach."""
    made = Path(tempfile.mkdtemp(prefix="lvsctl-exec-"))
    made.chmod(0o755)
    for name, script in PROGRAMS.items():
        (made / name).write_text(f"#!/bin/bash\n{script}\n")
        (made / name).chmod(0o755)
    shutil.chown(made / "foreign", NOBODY)
    yield made
    shutil.rmtree(made)


def test_programs_are_judged_by_how_they_end(network: BuildNetwork, folder: Path) -> None:
    """As nobody, on the director's network, killed with all that they started when time is up."""
    farm = network(farm_topology(real_servers=1))
    start_application(farm["rs1"], Application("rs1"))
    server = ip_address(farm.address("rs1"))
    target = Target(server, HTTP_PORT, vip=ip_address(VIP), server=server)

    async def run(probes: Probes, request: ExecRequest) -> Outcome:
        is_late = "timed out" in REASONS.get(request, "")
        return await probes.probe(request, target, TIMEOUT_S if is_late else LONG_S)

    async def run_all() -> list[Outcome]:
        with contextlib.closing(OwnPrograms(folder, NOBODY)) as programs:
            probes = Probes(programs)
            return [await run(probes, request) for request in (*REASONS, ExecRequest("foreign"))]

    with farm["lb1"].enter():
        *outcomes, foreign = asyncio.run(run_all())
    assert [*REASONS.values()] == [_reason(outcome) for outcome in outcomes]
    assert isinstance(foreign, Inconclusive)
    assert f"{folder}/foreign: only root may own and write it" in str(foreign.reason)


def _reason(outcome: Outcome) -> str:
    assert not isinstance(outcome, Inconclusive), outcome
    return "" if isinstance(outcome, Passed) else str(outcome.reason)
