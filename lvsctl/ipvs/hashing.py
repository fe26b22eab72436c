"""Which destination the kernel's hashing schedulers choose, computed as the kernel does. Pure.

Source: ``net/netfilter/ipvs/ip_vs_mh.c`` and ``ip_vs_sh.c`` of Linux 6.1, ``lib/siphash.c``.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from lvsctl.net import Family, IPAddress, family_of

MH_TABLE_SIZE = 4093
"""For CONFIG_IP_VS_MH_TAB_INDEX=12, the kernel's default."""

_MH_WEIGHT_BITS = 6
_MH_OFFSET_KEY, _MH_SKIP_KEY = 2654435761, 2654446892
_SH_TABLE_BITS = 8
_SH_TABLE_SIZE = 1 << _SH_TABLE_BITS
_GOLDEN_RATIO_32 = 0x61C88647
_U32, _U64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class Candidate:
    """A destination as a scheduler sees it.

    Attributes:
        address: Of the real server.
        port: Its port in the table.
        weight: At this moment.
        last_weight: The last one above 0, by which ``mh`` keeps the places of a drained server.
        is_overloaded: It has reached its upper threshold.
    """

    address: IPAddress
    port: int
    weight: int
    last_weight: int
    is_overloaded: bool = False

    @property
    def is_available(self) -> bool:
        """Whether it takes new connections."""
        return self.weight > 0 and not self.is_overloaded


@functools.lru_cache(maxsize=64)  # it takes some milliseconds, and many ask for one service
def maglev_table(candidates: tuple[Candidate, ...]) -> Sequence[Candidate]:
    """Return the table of ``mh``; empty where no destination ever had a weight.

    Args:
        candidates: In the kernel's own order, the newest first.
    """
    weights = [each.last_weight for each in candidates]
    divisor = math.gcd(*weights)
    if not divisor:
        return ()
    shift = max(0, (max(weights) // divisor).bit_length() - _MH_WEIGHT_BITS)
    turns = [(weight // divisor >> shift) or int(weight > 0) for weight in weights]
    places = [_mh_hash(each.address, each.port, _MH_OFFSET_KEY) for each in candidates]
    skips = [_mh_hash(each.address, each.port, _MH_SKIP_KEY) for each in candidates]
    places = [place % MH_TABLE_SIZE for place in places]
    skips = [skip % (MH_TABLE_SIZE - 1) + 1 for skip in skips]
    table: dict[int, Candidate] = {}
    while True:
        for index, candidate in enumerate(candidates):
            for _ in range(turns[index]):
                while places[index] in table:
                    places[index] = (places[index] + skips[index]) % MH_TABLE_SIZE
                table[places[index]] = candidate
                if len(table) == MH_TABLE_SIZE:
                    return [table[place] for place in range(MH_TABLE_SIZE)]


def maglev_choice(
    table: Sequence[Candidate], client: IPAddress, port: int, *, fallback: bool
) -> Candidate | None:
    """Return the destination that ``mh`` chooses for a client; None where it refuses him.

    Args:
        table: Of :func:`maglev_table`.
        client: Where the packet comes from.
        port: The client's with the flag ``mh-port``, else 0.
        fallback: The flag ``mh-fallback``.
    """
    if not table:
        return None
    first = _mh_hash(client, port, _MH_OFFSET_KEY) % MH_TABLE_SIZE
    if table[first].is_available:
        return table[first]
    if not fallback:
        return None
    for number in range(MH_TABLE_SIZE):
        offset = (number + first) % MH_TABLE_SIZE
        found = table[_mh_hash(client, port + offset, _MH_OFFSET_KEY) % MH_TABLE_SIZE]
        if found.is_available:
            return found
    return None


def source_hash_choice(
    candidates: Sequence[Candidate], client: IPAddress, port: int, *, fallback: bool
) -> Candidate | None:
    """Return the destination that ``sh`` chooses for a client; None where it refuses him.

    Args:
        candidates: In the kernel's own order, the newest first.
        client: Where the packet comes from.
        port: The client's with the flag ``sh-port``, else 0.
        fallback: The flag ``sh-fallback``.
    """
    if not candidates:
        return None
    buckets = _source_hash_buckets(candidates)
    value = (port + _fold(client)) & _U32
    first = (value * _GOLDEN_RATIO_32 & _U32) >> (32 - _SH_TABLE_BITS)
    if buckets[first].is_available or not fallback:
        return buckets[first] if buckets[first].is_available else None
    for number in range(_SH_TABLE_SIZE):
        offset = (number + first) % _SH_TABLE_SIZE
        found = buckets[(offset + first) % _SH_TABLE_SIZE]
        if found.is_available:
            return found
    return None


def _source_hash_buckets(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the buckets of ``sh``: as many in a row as the weight says, again and again."""
    buckets: list[Candidate] = []
    while len(buckets) < _SH_TABLE_SIZE:
        for each in candidates:
            buckets += [each] * max(1, min(each.weight, _SH_TABLE_SIZE))
    return buckets[:_SH_TABLE_SIZE]


def _fold(address: IPAddress) -> int:
    """Return an address as one word of 32 bits; the words of an IPv6 address are XORed."""
    value = int(address)
    if family_of(address) is Family.IPV4:
        return value
    return (value ^ value >> 32 ^ value >> 64 ^ value >> 96) & _U32


def _mh_hash(address: IPAddress, port: int, key: int) -> int:
    value = (port + _fold(address)) & _U32
    return _siphash13(value.to_bytes(4, "little"), key, key)


def _siphash13(data: bytes, key0: int, key1: int) -> int:
    """Return the kernel's ``hsiphash`` on a 64-bit machine, for less than 8 bytes."""
    v = [
        key0 ^ 0x736F6D6570736575,
        key1 ^ 0x646F72616E646F6D,
        key0 ^ 0x6C7967656E657261,
        key1 ^ 0x7465646279746573,
    ]
    block = len(data) << 56 | int.from_bytes(data, "little")
    v[3] ^= block
    _round(v)
    v[0] ^= block
    v[2] ^= 0xFF
    for _ in range(3):
        _round(v)
    return (v[0] ^ v[1] ^ v[2] ^ v[3]) & _U32


def _round(v: list[int]) -> None:
    v[0] = v[0] + v[1] & _U64
    v[1] = _rotate(v[1], 13) ^ v[0]
    v[0] = _rotate(v[0], 32)
    v[2] = v[2] + v[3] & _U64
    v[3] = _rotate(v[3], 16) ^ v[2]
    v[0] = v[0] + v[3] & _U64
    v[3] = _rotate(v[3], 21) ^ v[0]
    v[2] = v[2] + v[1] & _U64
    v[1] = _rotate(v[1], 17) ^ v[2]
    v[2] = _rotate(v[2], 32)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _U64
