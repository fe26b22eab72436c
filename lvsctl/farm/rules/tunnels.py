"""Rules for the tunnels of pools and their servers.

Every type carries IPv4 and IPv6 over IPv4 and IPv6, so no combination of VIP and real server is
refused; one that the kernel does not support would be refused in :func:`_carried`. GUE remote
checksum offload is not offered: it slows uploads down seventyfold.
"""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from lvsctl.errors import Problem
from lvsctl.farm.model import GUE_PORT, Farm, Pool, PoolTunnel, RealServer
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.status import Agent
from lvsctl.ipvs.table import Encapsulation, TunnelType
from lvsctl.messages.model import Membership
from lvsctl.net import Family, IPAddress, IpProtocol, family_of

MAX_PORT = 65535

LEAST_MTU: Mapping[Family, int] = MappingProxyType({Family.IPV4: 576, Family.IPV6: 1280})
"""Minimum MTU of every network (RFC 1122, 3.3.3 and RFC 8200, 5), in bytes."""
MIN_MTU = LEAST_MTU[Family.IPV4]
MAX_MTU = 65535

FamilyOwners = Mapping[Family, str]
"""Address families, each with an example of something that uses it, in words."""


def broken_tunnel_rules(
    farm: Farm, agents: Collection[Agent]
) -> Iterator[tuple[ObjectId, Problem]]:
    """Yield everything that is wrong with the tunnels of pools and of their servers."""
    vips = _vip_families(farm)
    joined: dict[str, list[Agent]] = {}
    for agent in agents:
        if agent.membership is not Membership.LEFT:
            for name in agent.pools:
                joined.setdefault(name, []).append(agent)
    for pool in farm.pools.values():
        inner, guests = vips.get(pool.name, {}), joined.get(pool.name, ())
        for pointer, tunnel, outer in _tunnels(pool, guests):
            for problem in (*_by_itself(tunnel), *_carried(tunnel, {**outer, **inner})):
                yield ObjectId(Kind.POOL, pool.name), problem.below(pointer)
    yield from _one_kind_of_gre(farm, joined)
    yield from _gue_ports_are_free(farm)


def _vip_families(farm: Farm) -> Mapping[str, FamilyOwners]:
    """Return the families that each pool's tunnels carry."""
    found: dict[str, dict[Family, str]] = {}
    for service in farm.services.values():
        of_pool = found.setdefault(service.pool, {})
        of_pool.setdefault(family_of(service.vip), f"the VIP of service {service.name}")
    return found


def _tunnels(
    pool: Pool, agents: Collection[Agent]
) -> Iterator[tuple[str, PoolTunnel, FamilyOwners]]:
    """Yield the tunnels of a pool, each with its pointer and the families of its outer headers."""
    first: dict[int, RealServer] = {}
    own = set()
    for index, server in enumerate(pool.real_servers):
        if server.tunnel is not None:
            own.add(server.address)
            whose = f"real server {server.name}"
            family = family_of(server.address)
            yield f"/real_servers/{index}/tunnel", server.tunnel, {family: whose}
        elif server.address.version not in first:
            first[server.address.version] = server
    outer = {family_of(each.address): f"real server {each.name}" for each in first.values()}
    for agent in agents:
        if agent.address not in own:
            outer.setdefault(family_of(agent.address), f"agent {agent.name}")
    yield "/tunnel", pool.tunnel, outer


def _by_itself(tunnel: PoolTunnel) -> Iterator[Problem]:
    if tunnel.type is TunnelType.GUE and not 1 <= tunnel.port <= MAX_PORT:
        allowed = f"1 to {MAX_PORT}, default {GUE_PORT}"
        yield Problem("/port", f"{tunnel.port} is out of range", allowed)
    if tunnel.type is not TunnelType.GUE and tunnel.port:
        yield Problem("/port", f"{tunnel.type} has no port", "leave it out; only gue has one")
    if tunnel.type is TunnelType.IPIP and tunnel.checksum:
        yield Problem("/checksum", "ipip has no checksum", "leave it out; gre and gue have one")
    if tunnel.mtu is not None and not MIN_MTU <= tunnel.mtu <= MAX_MTU:
        yield Problem("/mtu", f"{tunnel.mtu} is out of range", f"{MIN_MTU} to {MAX_MTU}")


def _carried(tunnel: PoolTunnel, families: FamilyOwners) -> Iterator[Problem]:
    """Yield why a tunnel cannot carry a family, as inner or outer header."""
    if tunnel.mtu is None or tunnel.mtu < MIN_MTU:
        return
    for family, whose in families.items():
        if tunnel.mtu < LEAST_MTU[family]:
            detail = f"{tunnel.mtu} is too small for {family}, the family of {whose}"
            yield Problem("/mtu", detail, f"{LEAST_MTU[family]} to {MAX_MTU}")


def _one_kind_of_gre(
    farm: Farm, joined: Mapping[str, Collection[Agent]]
) -> Iterator[tuple[ObjectId, Problem]]:
    """Yield hosts that would have to accept gre with and without checksum.

    One device receives all GRE for an address, and drops packets with the other checksum setting
    (``ip_tunnel_rcv`` in net/ipv4/ip_tunnel.c). A live pool cannot switch between the two either,
    since both arrive during the change.
    """
    accepted: dict[IPAddress, tuple[Encapsulation, str]] = {}
    for agent in (agent for agents in joined.values() for agent in agents):
        for ready in agent.ready:
            if ready.tunnel.type is TunnelType.GRE:
                accepted[agent.address] = (ready.tunnel, f"agent {agent.name} takes {ready.tunnel}")
    for pool in filter(uses_gre, farm.pools.values()):
        refused: set[str] = set()
        for pointer, tunnel, address in _tunnels_by_address(pool, joined.get(pool.name, ())):
            if tunnel.type is not TunnelType.GRE or pointer in refused:
                continue
            wanted = tunnel.encapsulation
            why = f"{address} takes {wanted} for pool {pool.name}"
            present, why = accepted.setdefault(address, (wanted, why))
            if present != wanted:
                refused.add(pointer)
                detail = f"{why}: a host cannot accept gre with and without checksum at once"
                allowed = "the same setting; in a live pool, change to ipip or gue first"
                yield (
                    ObjectId(Kind.POOL, pool.name),
                    Problem(f"{pointer}/checksum", detail, allowed),
                )


def uses_gre(pool: Pool) -> bool:
    """Tell whether any server of a pool is reached over gre."""
    return pool.tunnel.type is TunnelType.GRE or any(
        server.tunnel is not None and server.tunnel.type is TunnelType.GRE
        for server in pool.real_servers
    )


def _tunnels_by_address(
    pool: Pool, agents: Collection[Agent]
) -> Iterator[tuple[str, PoolTunnel, IPAddress]]:
    """Yield the tunnel to each server of a pool, with its pointer."""
    own = set()
    for index, server in enumerate(pool.real_servers):
        if server.tunnel is None:
            yield "/tunnel", pool.tunnel, server.address
        else:
            own.add(server.address)
            yield f"/real_servers/{index}/tunnel", server.tunnel, server.address
    for agent in agents:
        if agent.address not in own:
            yield "/tunnel", pool.tunnel, agent.address


def _gue_ports_are_free(farm: Farm) -> Iterator[tuple[ObjectId, Problem]]:
    """Yield UDP services whose packets a real server would decapsulate as gue."""
    for service in farm.services.values():
        pool = farm.pools.get(service.pool)
        if pool is None or service.protocol is not IpProtocol.UDP:
            continue
        tunnels = [pool.tunnel, *(server.tunnel for server in pool.real_servers if server.tunnel)]
        gue_ports = {tunnel.port for tunnel in tunnels if tunnel.type is TunnelType.GUE}
        for index, port in enumerate(service.ports):
            if port in gue_ports:
                detail = f"servers of pool {pool.name} receive gue on UDP port {port}"
                problem = Problem(f"/ports/{index}", detail, "another port, here or in the tunnel")
                yield ObjectId(Kind.SERVICE, service.name), problem
