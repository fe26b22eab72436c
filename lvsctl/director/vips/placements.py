"""Every way to place VIPs, by the farm's setting."""

from collections.abc import Mapping

from lvsctl.director.vips.external import ExternalVips
from lvsctl.director.vips.interface import VipPlacement
from lvsctl.director.vips.managed import ManagedVips
from lvsctl.director.vips.neighbours import Neighbours
from lvsctl.farm.model import VipOwner
from lvsctl.host.interface import Host
from lvsctl.store.interface import LocalState

Placements = Mapping[VipOwner, VipPlacement]
"""The implementation for each value of the farm's setting ``vips``."""


def open_placements(host: Host, neighbours: Neighbours, local: LocalState) -> Placements:
    """Return every placement of this host."""
    return {
        VipOwner.MANAGE: ManagedVips(host, neighbours, local),
        VipOwner.EXTERNAL: ExternalVips(),
    }
