"""Drains, seen by clients with connections that last."""

import contextlib
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.lab.client import Stream, request, requests, served_by
from deploy.lab.daemons import FarmDaemons
from deploy.lab.errors import LabError
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.network import Network
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from tests.kernel.farms import SERVERS, VIP, farm, service, start

OVERRIDE = "/v1/pools/web/real-servers/rs1/override"
DEADLINE_S = 15
HALF_WAY_S = 7
STREAMS = 6
"""Two for each server: the streams are scheduled round robin."""
WITHIN_S = 15
CUT = r"reset|ended"


@contextlib.contextmanager
def streams(network: Network) -> Iterator[list[Stream]]:
    """Open connections that last, and see that each server has its share."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(Stream(network["c1"], VIP)) for _ in range(STREAMS)]
        assert sorted(SERVERS * 2) == sorted(stream.server for stream in opened)
        yield opened


def weight(network: Network, port: int = 80) -> int | None:
    """Return the weight of rs1 in the director's kernel, None where it is not there."""
    saved = network["lb1"].run(["ipvsadm", "-Sn"]).stdout
    address = re.escape(f"{network.address('rs1')}:{port}")
    found = re.search(rf"-t {re.escape(VIP)}:{port} -r {address} -i -w (\d+)", saved)
    return int(found[1]) if found else None


def drain(daemons: FarmDaemons, deadline_s: int, **more: str) -> None:
    """Drain rs1 and wait until the kernel has it."""
    body = {"state": "draining", "deadline_in": f"{deadline_s}s", **more}
    assert daemons.api.put(f"{OVERRIDE}?wait=10", body)["applied"]


def connections(daemons: FarmDaemons) -> object:
    """Return how many connections the director says rs1 still has."""
    status = daemons.api.get("/v1/pools/web/real-servers/rs1")["status"]
    return status["drain"]["connections"]  # type: ignore[index]


def echo() -> dict[str, object]:
    """Return the service with the port of the streams."""
    return service(ports=[80, 7])


@pytest.mark.timeout(300)
def test_a_drain_loses_nobody_before_its_deadline_and_then_cuts(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Under load nobody is refused, no new connection arrives; then its clients hear at once."""
    built = network(farm_topology())
    daemons = start(built, tmp_path, farm([echo()]))

    with streams(built) as opened, Load(built["c1"], VIP, per_s=50, timeout_s=10) as load:
        poll(lambda: len(load.so_far()) > 20, 30)
        drain(daemons, DEADLINE_S)
        since = time.time()
        poll(lambda: connections(daemons) == 2, WITHIN_S)
        for stream in opened:
            stream.check()

        poll(lambda: weight(built) is None, 3 * DEADLINE_S)
        of_rs1 = [stream for stream in opened if stream.server == "rs1"]
        for stream in of_rs1:
            with pytest.raises(LabError, match=CUT):
                stream.check()
        for stream in opened:
            if stream not in of_rs1:
                stream.check()
        answers = load.stop()

    assert [] == [answer for answer in answers if answer.error]
    late = {answer.server for answer in answers if answer.at_s > since}
    assert {"rs2", "rs3"} == late
    shown = daemons.api.get(OVERRIDE)
    assert "disabled" == shown["state"]


def test_a_drain_that_keeps_what_is_left_cuts_nobody(network: BuildNetwork, tmp_path: Path) -> None:
    """Long after the deadline the connections live; undrained, the server gets new ones."""
    built = network(farm_topology())
    daemons = start(built, tmp_path, farm([echo()]))

    with streams(built) as opened:
        drain(daemons, 1, at_deadline="keep")

        def is_over() -> bool:
            status = daemons.api.get("/v1/pools/web/real-servers/rs1")["status"]
            return bool(status["drain"]["overdue"])  # type: ignore[index]

        poll(is_over, WITHIN_S)
        assert [] == daemons.api.get("/v1/plan")["operations"]
        assert 0 == weight(built)
        for stream in opened:
            stream.check()
        assert set(SERVERS) - {"rs1"} == set(served_by(requests(built["c1"], VIP, count=20)))

        assert daemons.api.ask("DELETE", f"{OVERRIDE}?wait=10").json()["applied"]
        assert set(SERVERS) == set(served_by(requests(built["c1"], VIP, count=20)))
        for stream in opened:
            stream.check()


def test_undraining_half_way_cuts_nobody(network: BuildNetwork, tmp_path: Path) -> None:
    """The server gets new connections again, and when its old deadline passes nothing happens."""
    built = network(farm_topology())
    daemons = start(built, tmp_path, farm([echo()]))
    client = built["c1"]

    with streams(built) as opened:
        drain(daemons, HALF_WAY_S)
        deadline = datetime.fromisoformat(str(daemons.api.get(OVERRIDE)["deadline"]))
        assert set(SERVERS) - {"rs1"} == set(served_by(requests(client, VIP, count=10)))
        assert daemons.api.ask("DELETE", f"{OVERRIDE}?wait=10").json()["applied"]
        assert datetime.now(UTC) < deadline
        assert set(SERVERS) == set(served_by(requests(client, VIP, count=10)))

        poll(lambda: datetime.now(UTC) > deadline, 3 * HALF_WAY_S)
        told = daemons.api.ask("GET", "/v1/events?after=0&follow=false").text
        assert "drain-over" not in told
        assert [] == daemons.api.get("/v1/plan")["operations"]
        assert 100 == weight(built)
        for stream in opened:
            stream.check()


@pytest.mark.timeout(300)
def test_a_director_killed_half_way_through_a_drain(network: BuildNetwork, tmp_path: Path) -> None:
    """While it is dead nothing is cut; the next one keeps the deadline that was set."""
    built = network(farm_topology())
    daemons = start(built, tmp_path, farm([echo()]))

    with streams(built) as opened:
        drain(daemons, DEADLINE_S)
        deadline = daemons.api.get(OVERRIDE)["deadline"]
        assert daemons.director is not None
        daemons.director.kill()
        assert 0 == weight(built)
        for stream in opened:
            stream.check()
        daemons.start_director()
        assert deadline == daemons.api.get(OVERRIDE)["deadline"]
        poll(lambda: weight(built) is None, 3 * DEADLINE_S)
        for stream in opened:
            if stream.server == "rs1":
                with pytest.raises(LabError, match=CUT):
                    stream.check()
            else:
                stream.check()


def test_a_drain_moves_sticky_clients(network: BuildNetwork, tmp_path: Path) -> None:
    """A persistent client's template expires: what it opens anew goes elsewhere at once."""
    built = network(farm_topology())
    sticky = service(ports=[80, 7], persistence={"timeout": "5m", "netmask": 32})
    daemons = start(built, tmp_path, farm([sticky]))
    client = built["c1"]

    with Stream(client, VIP) as stream:
        home = request(client, VIP).server
        assert {home} == set(served_by(requests(client, VIP, count=10)))
        path = f"/v1/pools/web/real-servers/{home}/override?wait=10"
        assert daemons.api.put(path, {"state": "draining"})["applied"]
        (moved,) = set(served_by(requests(client, VIP, count=10)))
        assert home != moved
        stream.check()
