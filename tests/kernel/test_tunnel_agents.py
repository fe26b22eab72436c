"""Two hosts joined by a tunnel that is declared over REST and made by their agents."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from lvsctl.agent.main import last_config, leave
from tests.kernel.agent_hosts import differences, dump
from tests.kernel.test_tunnel_single_host import link

ADDRESS = "/v1/tunnels/c2d"
HOSTS = ("rs1", "rs2", "rs3")
WITHIN_S = 45.0


class Site:
    """A director and the agents of hosts, which join no pool."""

    def __init__(self, daemons: FarmDaemons) -> None:
        self.daemons, self.api = daemons, daemons.api
        self.c, self.d = daemons.network["rs1"], daemons.network["rs2"]
        self.before = {name: dump(daemons.network[name]) for name in HOSTS}

    def tunnel(
        self, mode: str, one: str, other: str, name: str = "c2d", to: str = "rs2", **more: object
    ) -> Mapping[str, Any]:
        """Return the document of a tunnel from rs1; at the other end its device is `d2c…`."""
        address = self.daemons.network.address
        return {
            "name": name,
            "mode": mode,
            "ends": [
                {
                    "agent": "rs1",
                    "underlay": address("rs1"),
                    "device": "eth0",
                    "addresses": [one],
                },
                {
                    "agent": to,
                    "underlay": address(to),
                    "device": "eth0",
                    "link": name.replace("c2d", "d2c"),
                    "addresses": [other],
                },
            ],
            **more,
        }

    def wait(self, until: Callable[[Any], bool], name: str = "c2d") -> Any:  # noqa: ANN401 - any JSON
        """Wait until a tunnel's status is as it should be, and return it."""
        return poll(lambda: self.api.get(f"/v1/tunnels/{name}")["status"], WITHIN_S, until=until)

    def left_behind(self, *hosts: str) -> Mapping[str, Mapping[str, Any]]:
        """Return what is not as it was found on some hosts."""
        changed = {
            name: differences(self.before[name], dump(self.daemons.network[name])) for name in hosts
        }
        return {name: found for name, found in changed.items() if found}


@pytest.fixture
def site(network: BuildNetwork, tmp_path: Path) -> Site:
    daemons = FarmDaemons(network(farm_topology(real_servers=len(HOSTS))), tmp_path)
    daemons.start_director()
    site = Site(daemons)
    for name in HOSTS:
        daemons.start_agent(name, pools=())
    return site


def both_up(status: Any) -> bool:  # noqa: ANN401 - any JSON
    return bool(status["state"] == "up")


DECLARED: Mapping[str, tuple[str, str, str, str, Json, int]] = {
    "c2d": ("ipip", "192.168.2.1/24", "192.168.2.2/24", "rs2", {}, 1480),
    "c2d-gre": ("gre", "192.168.3.1/24", "192.168.3.2/24", "rs2", {}, 1476),
    "c2d-key": ("gre", "192.168.4.1/24", "192.168.4.2/24", "rs2", {"key": 42}, 1472),
    "c2d-tap": ("gretap", "192.168.5.1/24", "192.168.5.2/24", "rs2", {}, 1462),
    # Between one pair of hosts is one GRE tunnel without a key.
    "c2d-inner6": ("gre", "fd00:9::1/64", "fd00:9::2/64", "rs3", {}, 1476),
}
"""By name: mode, inner addresses, the other host, what else is declared, and the MTU."""


@pytest.mark.timeout(300)
def test_declared_tunnels_join_hosts(site: Site) -> None:
    """Both ends come up, answer each other's probes without loss, and go without a trace."""
    for name, (mode, one, other, to, more, _) in DECLARED.items():
        document = site.tunnel(mode, one, other, name, to, **more)
        site.api.put(f"/v1/tunnels/{name}", document)
    for name, (_, one, other, to, _, mtu) in DECLARED.items():
        status = site.wait(
            lambda status: both_up(status) and all(e["loss_percent"] == 0 for e in status["ends"]),
            name,
        )
        assert (name, [mtu, mtu]) == (name, [end["mtu"] for end in status["ends"]])
        assert all(0 < end["round_trip_ms"] < 1000 for end in status["ends"]), name
        at_other = name.replace("c2d", "d2c")
        ends = ((site.c, name, one), (site.daemons.network[to], at_other, other))
        for node, device, own in ends:
            shown = link(node, device)
            assert (name, mtu) == (name, shown["mtu"])
            assert own in {f"{a['local']}/{a['prefixlen']}" for a in shown["addr_info"]}
    for name in DECLARED:
        site.api.delete(f"/v1/tunnels/{name}")
    poll(lambda: site.left_behind(*HOSTS), WITHIN_S, until=lambda left: left == {})


@pytest.mark.timeout(300)
def test_an_end_that_disappears_is_down_until_it_is_mended(site: Site) -> None:
    """The agent makes a deleted device again; a host that is gone is told, at both ends."""
    site.api.put(ADDRESS, site.tunnel("ipip", "192.168.2.1/24", "192.168.2.2/24"))
    site.wait(both_up)
    site.c.run(["ip", "link", "delete", "c2d"])
    poll(lambda: "c2d" in site.c.run(["ip", "link"]).stdout, WITHIN_S)
    found = poll(
        lambda: [each["detail"] for each in site.api.get("/v1/agents/rs1")["findings"]], WITHIN_S
    )
    assert "tunnel c2d on rs1: c2d is missing; repaired" in found
    site.d.set_link("eth0", up=False)
    status = site.wait(lambda status: "no answer from 192.168.2.2" in status["reason"])
    assert "down" == status["ends"][0]["state"]
    status = site.wait(lambda status: "agent rs2 is silent" in status["reason"])
    assert "rs1: no answer from 192.168.2.2 through c2d" in status["reason"]
    site.d.set_link("eth0", up=True)
    site.wait(both_up)


@pytest.mark.timeout(300)
def test_what_a_host_cannot_have_is_told(site: Site) -> None:
    """An underlay address that is not the host's, and a network that it has, touch nothing."""
    wrong = dict(site.tunnel("ipip", "192.168.2.1/24", "192.168.2.2/24"))
    wrong["ends"] = [{**wrong["ends"][0], "underlay": "192.0.2.99"}, wrong["ends"][1]]
    site.api.put(ADDRESS, wrong)
    site.wait(lambda status: "192.0.2.99 is not an address of this host" in status["reason"])
    assert {} == site.left_behind("rs1")
    site.c.run(["ip", "address", "add", "192.168.2.129/25", "dev", "lo"])
    site.api.put(ADDRESS, site.tunnel("ipip", "192.168.2.1/24", "192.168.2.2/24"))
    site.wait(lambda status: "192.168.2.1/24 overlaps 192.168.2.129/25 on lo" in status["reason"])
    site.c.run(["ip", "address", "delete", "192.168.2.129/25", "dev", "lo"])
    site.wait(both_up)


@pytest.mark.timeout(300)
def test_killed_and_left_the_host_is_as_found(site: Site) -> None:
    """An agent that was killed knows what it made: it keeps it, and its leave undoes it."""
    site.api.put(ADDRESS, site.tunnel("gre", "192.168.2.1/24", "192.168.2.2/24", key=1))
    site.wait(both_up)
    site.daemons.agents["rs1"].kill()
    ends = dump(site.c)
    site.daemons.start_agent("rs1", pools=())
    site.api.put(ADDRESS, site.tunnel("gre", "192.168.2.1/24", "192.168.2.2/24", key=1, mtu=1300))
    poll(lambda: link(site.c, "c2d")["mtu"] == 1300, WITHIN_S)
    assert ends["-o address"] == dump(site.c)["-o address"]
    site.wait(both_up)
    site.daemons.agents["rs1"].kill()
    said: list[str] = []
    with site.c.enter():
        config = last_config(site.daemons.agent_state("rs1"))
        assert 0 == leave(config, 1, force=False, say=said.append), said
    assert {} == site.left_behind("rs1")
    site.wait(lambda status: "agent rs1 has left" in status["reason"])
