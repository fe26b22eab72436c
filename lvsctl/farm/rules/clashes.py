"""Conflicts between declared tunnels: the same end points, device, or inner network."""

from collections.abc import Collection, Iterator, Mapping

from lvsctl.errors import Problem
from lvsctl.farm.tunnels import End, IPNetwork, Tunnel, overlap

_Label = tuple[object, ...]


def clashes(tunnels: Mapping[str, Tunnel]) -> Iterator[tuple[str, Problem]]:
    """Yield conflicts of each tunnel with earlier ones, with its name.

    Only tunnels that share a label are compared: comparing all pairs takes minutes for ten
    thousand tunnels.
    """
    lengths = {network.prefixlen for tunnel in tunnels.values() for network in _networks(tunnel)}
    labelled: dict[_Label, list[int]] = {}
    seen: list[Tunnel] = []
    for tunnel in tunnels.values():
        shared = _identities(tunnel) | _containing(tunnel, lengths) | _contained(tunnel)
        for position in sorted({each for label in shared for each in labelled.get(label, ())}):
            for problem in _clashes(tunnel, seen[position]):
                yield tunnel.name, problem
        for label in _identities(tunnel) | _as_container(tunnel) | _as_content(tunnel, lengths):
            labelled.setdefault(label, []).append(len(seen))
        seen.append(tunnel)


def _identities(tunnel: Tunnel) -> set[_Label]:
    """Return what must be unique to a tunnel: its end points and its devices."""
    return {_endpoints(tunnel), *((end.agent, _name(tunnel, end)) for end in tunnel.ends)}


def _networks(tunnel: Tunnel) -> Iterator[IPNetwork]:
    return (address.network for end in tunnel.ends for address in end.addresses)


# Two networks overlap if one contains the other. So each network is labelled as a container, and
# as content of every possible container of a prefix length in use; look-ups are the reverse.


def _as_container(tunnel: Tunnel) -> set[_Label]:
    return {("container", *_prefix(network, network.prefixlen)) for network in _networks(tunnel)}


def _as_content(tunnel: Tunnel, lengths: Collection[int]) -> set[_Label]:
    return {("content", *prefix) for prefix in _prefixes(tunnel, lengths)}


def _containing(tunnel: Tunnel, lengths: Collection[int]) -> set[_Label]:
    return {("container", *prefix) for prefix in _prefixes(tunnel, lengths)}


def _contained(tunnel: Tunnel) -> set[_Label]:
    return {("content", *_prefix(network, network.prefixlen)) for network in _networks(tunnel)}


def _prefixes(tunnel: Tunnel, lengths: Collection[int]) -> Iterator[_Label]:
    for network in _networks(tunnel):
        for length in lengths:
            if length <= network.prefixlen:
                yield _prefix(network, length)


def _prefix(network: IPNetwork, length: int) -> _Label:
    """Return the supernet of this length."""
    return network.version, length, int(network.network_address) >> (network.max_prefixlen - length)


def _clashes(tunnel: Tunnel, other: Tunnel) -> Iterator[Problem]:
    if _endpoints(tunnel) == _endpoints(other):
        key = "" if tunnel.key is None else f" with key {tunnel.key}"
        pair = " and ".join(str(end.underlay) for end in tunnel.ends)
        yield Problem(
            "/ends",
            f"tunnel {other.name} already joins {pair} by {tunnel.mode}{key}",
            "other addresses, or a different key for each",
        )
    for index, end in enumerate(tunnel.ends):
        for there in other.ends:
            if end.agent == there.agent and _name(tunnel, end) == _name(other, there):
                yield Problem(
                    f"/ends/{index}/link",
                    f"{_name(tunnel, end)} on {end.agent} belongs to tunnel {other.name}",
                    "another name",
                )
        for position, address in enumerate(end.addresses):
            for taken in (address for there in other.ends for address in there.addresses):
                if overlap(address.network, taken.network):
                    yield Problem(
                        f"/ends/{index}/addresses/{position}",
                        f"{address.network} overlaps {taken.network} of tunnel {other.name}",
                        "a network of its own",
                    )
                    break


def _name(tunnel: Tunnel, end: End) -> str:
    return end.link or tunnel.name


def _endpoints(tunnel: Tunnel) -> _Label:
    return tunnel.mode, frozenset(end.underlay for end in tunnel.ends), tunnel.key
