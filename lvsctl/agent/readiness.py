"""Which VIPs a host is observed to serve, and which tunnels to accept. Pure."""

from collections.abc import Collection

from lvsctl.agent.desired_host import DesiredHost
from lvsctl.agent.devices import ServingSpec
from lvsctl.host.interface import HostKey, HostState
from lvsctl.host.plan import changes
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IPAddress, family_of


def served(
    spec: ServingSpec, desired: DesiredHost, state: HostState
) -> tuple[tuple[IPAddress, ...], tuple[Tunnel, ...]]:
    """Return the VIPs and tunnels that are observed in place with everything they need.

    A tunnel is accepted when it carries every family of VIPs that any tunnel carries, so that a
    director that changes to it takes no VIP out of service.
    """
    if not desired.complete or (desired.base and changes(desired.base, state)):
        return (), ()
    missing = {change.key for change in changes(desired.state, state)}
    carried: dict[Tunnel, set[Family]] = {}
    for carrier in desired.carriers:
        if missing.isdisjoint(carrier.needs):
            carried.setdefault(carrier.tunnel, set()).add(carrier.vip)
    families = frozenset[Family]().union(*carried.values())
    accepted = tuple(
        tunnel
        for tunnel in spec.servable_tunnels
        if tunnel not in desired.excluded
        and carried.get(tunnel, set()) >= families
        and (tunnel in carried or not spec.families)
    )
    ready = tuple(
        vip
        for vip, key in desired.vips.items()
        if key not in missing
        and family_of(vip) in families
        and not _lacks_mss(vip, desired, missing)
    )
    return ready, accepted


def _lacks_mss(vip: IPAddress, desired: DesiredHost, missing: Collection[HostKey]) -> bool:
    return any(
        rule in missing or any(route in missing for route in plan.routes)
        for plan in desired.mss
        if (rule := plan.rules.get(vip)) is not None
    )
