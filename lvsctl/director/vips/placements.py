"""The VIP placements, by the farm's setting."""

import time
from collections.abc import Callable, Mapping

from lvsctl.director.vips.detection import DuplicateDetection, OnAnswer
from lvsctl.director.vips.external import ExternalVips
from lvsctl.director.vips.interface import VipPlacement
from lvsctl.director.vips.managed import ManagedVips
from lvsctl.director.vips.neighbours import Neighbours
from lvsctl.farm.model import VipOwner
from lvsctl.host.interface import Host
from lvsctl.store.interface import LocalState

Placements = Mapping[VipOwner, VipPlacement]
"""The implementation for each value of the farm's setting ``vips``."""


def open_placements(
    host: Host,
    neighbours: Neighbours,
    local: LocalState,
    on_change: OnAnswer = lambda _: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Placements:
    """Return every placement of this host.

    Args:
        host: The host.
        neighbours: The hosts on its links.
        local: The local state, with claims.
        on_change: Called with VIPs that can proceed now, possibly in another thread.
        monotonic: Seconds on a monotonic clock.
    """
    detection = DuplicateDetection(neighbours, on_change, monotonic)
    return {
        VipOwner.MANAGE: ManagedVips(host, detection, local),
        VipOwner.EXTERNAL: ExternalVips(),
    }
