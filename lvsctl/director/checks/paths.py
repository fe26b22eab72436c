"""Which ways to real servers health checks take through the tunnel. Pure."""

from lvsctl.farm.checks import ExecRequest, Through
from lvsctl.farm.index import Index
from lvsctl.farm.members import PoolMember, members, usable_encapsulation
from lvsctl.farm.model import Farm, Pool
from lvsctl.farm.status import Status
from lvsctl.health.marks import TunnelPath
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress, family_of


def tunnel_path(member: PoolMember, vip: IPAddress) -> TunnelPath | None:
    """Return the way of a probe to a server of a pool, as a client of ``vip`` reaches it.

    None where the server is known to accept no tunnel (yet, or any more): a probe would loop or
    vanish there as a client's packets would.
    """
    if member.agent and member.agent.membership is Membership.LEFT:
        return None
    encapsulation = usable_encapsulation(member, vip)
    if encapsulation is None:
        return None
    return TunnelPath(family_of(vip), member.address, encapsulation)


def paths_of_pool(name: str, farm: Farm, index: Index, status: Status) -> frozenset[TunnelPath]:
    """Return every way that the health checks of a pool take through the tunnel."""
    pool = farm.pools.get(name)
    if pool is None or not _asks_through_the_tunnel(pool):
        return frozenset()
    vips = {farm.services[user].vip for user in index.users.get(name, ())}
    return frozenset(
        path
        for member in members(pool, status)
        for vip in vips
        if (path := tunnel_path(member, vip))
    )


def _asks_through_the_tunnel(pool: Pool) -> bool:
    return any(
        check.through is Through.TUNNEL and not isinstance(check.request, ExecRequest)
        for check in pool.health_checks
    )
