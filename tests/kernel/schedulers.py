"""Which server the kernel's hashing schedulers choose, computed as the kernel does.

Source: ``net/netfilter/ipvs/ip_vs_mh.c`` and ``ip_vs_sh.c`` of Linux 6.1, ``lib/siphash.c``.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address

_U32, _U64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_MH_TABLE_SIZE = 4093  # CONFIG_IP_VS_MH_TAB_INDEX=12
_MH_KEYS = (2654435761, 2654446892)
_SH_TABLE_BITS = 8
_GOLDEN_RATIO_32 = 0x61C88647


def maglev_table(newest_first: Sequence[str], port: int) -> Sequence[str]:
    """Return the ``mh`` table for servers of one weight, as the kernel lists them, and a port."""
    positions = [_mh_hash(server, port, _MH_KEYS[0]) % _MH_TABLE_SIZE for server in newest_first]
    skips = [
        _mh_hash(server, port, _MH_KEYS[1]) % (_MH_TABLE_SIZE - 1) + 1 for server in newest_first
    ]
    table: dict[int, str] = {}
    while True:
        for index, server in enumerate(newest_first):
            while positions[index] in table:
                positions[index] = (positions[index] + skips[index]) % _MH_TABLE_SIZE
            table[positions[index]] = server
            if len(table) == _MH_TABLE_SIZE:
                return [table[place] for place in range(_MH_TABLE_SIZE)]


def maglev_choice(table: Sequence[str], client: str, port: int = 0) -> str:
    """Return the server of a client; ``port`` is the client's with ``mh-port``, else 0."""
    return table[_mh_hash(client, port, _MH_KEYS[0]) % _MH_TABLE_SIZE]


def source_hash_choice(newest_first: Sequence[str], weight: int, client: str) -> str:
    """Return the server that ``sh`` without ``sh-port`` chooses, as the kernel lists them."""
    value = int(IPv4Address(client)) * _GOLDEN_RATIO_32 & _U32
    place = value >> (32 - _SH_TABLE_BITS)
    return newest_first[place // weight % len(newest_first)]


def _mh_hash(address: str, port: int, key: int) -> int:
    value = (port + int(IPv4Address(address))) & _U32
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
