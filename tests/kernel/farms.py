"""A farm with a director, agents and applications, as the tests in this folder use it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.lab.application import Application, start_application
from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.network import Network
from deploy.lab.poll import poll
from deploy.lab.topology import vip

VIP = vip(10)
OTHER_VIP = vip(20)
SERVERS = ("rs1", "rs2", "rs3")

StartFarm = Callable[..., FarmDaemons]
"""What the fixture ``start_farm`` gives: see :func:`start`."""


def service(name: str = "web", **fields: object) -> Json:
    """Return the document of a service over the pool web."""
    return {"name": name, "vip": VIP, "ports": [80], "scheduler": "rr", "pool": "web", **fields}


def farm(
    services: Sequence[Json] = (), pools: Sequence[Json] | None = None, **sections: object
) -> Json:
    """Return the document of a farm; by default one service over one pool of agents."""
    return {
        "services": list(services) or [service()],
        "pools": list(pools) if pools is not None else [{"name": "web"}],
        **sections,
    }


def declared(network: Network, servers: Sequence[str], weights: Mapping[str, int]) -> Json:
    """Return the document of a pool that declares servers with weights."""
    return {
        "name": "web",
        "real_servers": [
            {"name": name, "address": network.address(name), "weight": weights[name]}
            for name in servers
        ],
    }


def start(
    network: Network,
    state: Path,
    document: Json | None = None,
    *,
    servers: Sequence[str] = SERVERS,
    pools: Sequence[str] = ("web",),
    http_ports: tuple[int, ...] = (80,),
    udp_addresses: tuple[str, ...] = (VIP,),
    **director: object,
) -> FarmDaemons:
    """Start a director, give it a farm, start the agents, and wait until all servers serve.

    Args:
        network: The hosts.
        state: Folder for what the daemons keep.
        document: The farm; by default :func:`farm`.
        servers: Where agents and applications run.
        pools: What the agents join.
        http_ports: Of the applications.
        udp_addresses: Where the applications answer datagrams.
        director: Changes of the director's configuration.
    """
    daemons = FarmDaemons(network, state)
    daemons.start_director(**director)
    document = document or farm()
    daemons.api.put("/v1/farm?wait=10", document)
    for name in servers:
        start_application(network[name], Application(name, http_ports, udp_addresses))
        daemons.start_agent(name, pools)
    # A declared server takes part without an agent too, so the table alone does not tell.
    poll(lambda: ready_agents(daemons), 60, until=lambda ready: ready >= set(servers))
    for each in document["services"] if servers else ():  # type: ignore[attr-defined]
        if "fwmark" not in each and each.get("protocol", "tcp") == "tcp":
            daemons.wait_until_served_by(each["name"], servers)
    return daemons


def ready_agents(daemons: FarmDaemons) -> set[str]:
    """Return the agents that have reported everything ready that is asked of them."""
    agents = daemons.api.get("/v1/agents")["agents"]
    return {a["name"] for a in agents if a["ready"] and not a["awaited"]}  # type: ignore[attr-defined]


def revision(daemons: FarmDaemons) -> str:
    """Return the revision that the director's store is at, for a fingerprint."""
    return daemons.api.ask("GET", "/v1/farm").headers["etag"]
