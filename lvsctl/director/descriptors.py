"""File descriptors: how many this process may open, and for what some are kept."""

import resource

from lvsctl.director.checks.direct_probes import AT_ONCE
from lvsctl.health.prober import MAX_PROBES, MAX_PROGRAMS

OTHERS = 256
"""Netlink, the stores with their journals, threads, listening sockets, standard streams."""
USEFUL = 65536
"""More than there is use for."""
RESERVED = MAX_PROBES + AT_ONCE + MAX_PROGRAMS + OTHERS


def raise_descriptor_limit() -> int:
    """Raise the soft limit of this process as far as it may and needs to, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = USEFUL if hard == resource.RLIM_INFINITY else min(hard, USEFUL)
    limit = max(soft, allowed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def reserved_descriptors(limit: int) -> int:
    """Return how many are kept from HTTP clients: enough for all else, at most half."""
    return min(RESERVED, limit // 2)
