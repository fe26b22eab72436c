"""The assignments in effect, by farm, and how a new one changes them. Pure.

An assignment replaces the previous one of the same farm, and so may remove VIPs. It removes
nothing of another farm: that stays until its own farm removes it, the new farm claims it, or the
agent leaves. A director that lost its state, or a wrong address in a configuration, therefore
takes no real server out of service.
"""

from dataclasses import dataclass, replace

from lvsctl.messages.model import Assignment, Tunnel, TunnelEnd
from lvsctl.net import IPAddress, family_of

UNKNOWN_FARM = ""
"""Id of a farm whose real id was lost with a damaged file."""


@dataclass(frozen=True, slots=True)
class Assignments:
    """The last assignment of each farm that has something on this host.

    Attributes:
        farms: Oldest first, each farm once; the last one is current.
    """

    farms: tuple[Assignment, ...] = ()

    @property
    def current(self) -> Assignment | None:
        """The latest assignment; None before the first."""
        return self.farms[-1] if self.farms else None

    @property
    def farm_id(self) -> str:
        """The farm of the current assignment, empty before the first."""
        return self.farms[-1].farm_id if self.farms else ""

    @property
    def vips(self) -> tuple[IPAddress, ...]:
        """All VIPs to serve, sorted."""
        vips = {vip for assignment in self.farms for vip in assignment.vips}
        return tuple(sorted(vips, key=lambda vip: (family_of(vip), int(vip))))

    @property
    def tunnels(self) -> tuple[Tunnel, ...]:
        """All tunnels to accept, sorted."""
        tunnels = {tunnel for assignment in self.farms for tunnel in assignment.tunnels}
        return tuple(
            sorted(tunnels, key=lambda tunnel: (tunnel.type, tunnel.port, tunnel.checksum))
        )

    @property
    def mtu(self) -> int | None:
        """The smallest path MTU of all assignments; None if none gives one."""
        return min((farm.mtu for farm in self.farms if farm.mtu is not None), default=None)

    @property
    def tunnel_ends(self) -> tuple[TunnelEnd, ...]:
        """All ends of point-to-point tunnels, one per device; the current farm's wins."""
        ends = {end.link: end for farm in self.farms for end in farm.tunnel_ends}
        return tuple(ends[link] for link in sorted(ends))

    @property
    def kept(self) -> tuple[Assignment, ...]:
        """The assignments of farms other than the current one."""
        return self.farms[:-1]

    def is_behind(self, new: Assignment) -> bool:
        """Tell whether ``new`` is older than what its farm assigned: its director lost state.

        Assignments without an epoch have no order.
        """
        return any(
            (new.epoch, new.revision) < (said.epoch, said.revision)
            for said in self.farms
            if said.farm_id == new.farm_id and new.epoch
        )

    def after(self, new: Assignment) -> "Assignments":
        """Return the assignments after ``new``; an older one than the present changes nothing."""
        if self.is_behind(new):
            return self
        kept = (
            _drop_claimed(assignment, new)
            for assignment in self.farms
            if assignment.farm_id != new.farm_id
        )
        return Assignments((*(each for each in kept if each.vips or each.tunnel_ends), new))


def _drop_claimed(assignment: Assignment, new: Assignment) -> Assignment:
    claimed = {end.link for end in new.tunnel_ends}
    return replace(
        assignment,
        vips=tuple(vip for vip in assignment.vips if vip not in new.vips),
        tunnel_ends=tuple(end for end in assignment.tunnel_ends if end.link not in claimed),
    )
