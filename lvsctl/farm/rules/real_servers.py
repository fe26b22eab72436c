"""Rules for a pool by itself: its name, and the servers that it declares.

A farm has tens of thousands of them, so what most have in common is judged once.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence

from lvsctl.errors import Problem
from lvsctl.farm.model import Pool, RealServer
from lvsctl.farm.rules.fields import (
    MAX_THRESHOLD,
    MAX_WEIGHT,
    name_problems,
    range_problems,
    unicast_problems,
)
from lvsctl.net import IPAddress


def pool_problems(pool: Pool) -> Iterator[Problem]:
    """Yield what is wrong with a pool by itself."""
    yield from name_problems(pool.name)
    doubled = _doubled(pool.real_servers)
    for index, server in enumerate(pool.real_servers):
        problems = _real_server(server)
        if problems or index in doubled:
            for problem in (*problems, *doubled.get(index, ())):
                yield problem.below(f"/real_servers/{index}")


def _doubled(servers: Sequence[RealServer]) -> Mapping[int, Sequence[Problem]]:
    """Return, by position, the servers that have the name or address of an earlier one."""
    names = {server.name for server in servers}
    by_address = dict[IPAddress, str]()
    for server in servers:
        by_address.setdefault(server.address, server.name)
    if len(names) == len(by_address) == len(servers):
        return {}
    found: dict[int, list[Problem]] = {}
    names.clear()
    addresses = set[IPAddress]()
    for index, server in enumerate(servers):
        if server.name in names:
            detail = f"the pool has another real server {server.name!r}"
            found.setdefault(index, []).append(Problem("/name", detail, "each name once in a pool"))
        if server.address in addresses:
            detail = f"{server.address} is also the address of {by_address[server.address]}"
            problem = Problem("/address", detail, "each address once in a pool")
            found.setdefault(index, []).append(problem)
        names.add(server.name)
        addresses.add(server.address)
    return found


def _real_server(server: RealServer) -> Sequence[Problem]:
    return (
        *name_problems(server.name),
        *unicast_problems("/address", server.address),
        *_numbers(server.weight, server.upper_threshold, server.lower_threshold),
    )


@functools.lru_cache(maxsize=4096)  # most servers of a farm have the same
def _numbers(weight: int, upper_threshold: int, lower_threshold: int) -> Sequence[Problem]:
    problems = [
        *range_problems("/weight", weight, 0, MAX_WEIGHT),
        *range_problems("/upper_threshold", upper_threshold, 0, MAX_THRESHOLD),
        *range_problems("/lower_threshold", lower_threshold, 0, MAX_THRESHOLD),
    ]
    if lower_threshold > upper_threshold:
        detail = f"{lower_threshold} is above upper_threshold {upper_threshold}"
        problems.append(Problem("/lower_threshold", detail, f"0 to {upper_threshold}"))
    return problems
