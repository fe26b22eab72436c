"""File descriptors: how many this process may open, and for what some are kept."""

import resource

from lvsctl.director.checks.direct_probes import AT_ONCE
from lvsctl.health.prober import CONNECTIONS, PROGRAMS

DESCRIPTORS_PER_PROGRAM = 4
"""Its output, what tells of its end, and those that starting it takes."""
OTHERS = 256
"""Netlink, the stores with their journals, threads, listening sockets, standard streams."""
RESERVED = CONNECTIONS + AT_ONCE + PROGRAMS * DESCRIPTORS_PER_PROGRAM + OTHERS


def raise_descriptor_limit() -> int:
    """Raise the soft limit of this process to the hard one, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def reserved_descriptors(limit: int) -> int:
    """Return how many are kept from HTTP clients: enough for all else, at most half."""
    return min(RESERVED, limit // 2)
