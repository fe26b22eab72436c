"""Dumps of the kernel's table, and when one may be believed."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from lvsctl.errors import KernelError
from lvsctl.ipvs.table import DestinationKey, ServiceKey
from lvsctl.netlink.genetlink import GenericNetlinkSocket

ATTEMPTS = 10

Of = TypeVar("Of")
Key = TypeVar("Key", ServiceKey, DestinationKey)
Parse = Callable[[bytes], tuple[Key, Of] | None]


def dump_until_agreed(
    socket: GenericNetlinkSocket, request: bytes, parse: Parse[Key, Of]
) -> tuple[dict[Key, Of], Sequence[bytes]]:
    """Dump until it came in one piece, or twice with the same keys.

    Between two pieces the kernel goes on by position: where an entry is deleted meanwhile, another
    that still exists may be left out.

    Returns:
        What was found, in the order of every snapshot, and the datagrams that it came in.

    Raises:
        KernelError: It could not be read, or no two dumps agreed.
    """
    keys: Collection[Key] | None = None
    for _ in range(ATTEMPTS):
        dump = socket.dump(request)
        found = keyed(dump.answers, parse)
        if dump.single_pass or found.keys() == keys:
            return found, dump.datagrams
        keys = found.keys()
    raise KernelError(f"{ATTEMPTS} dumps of the IPVS table differed, as others change it")


def keyed(payloads: Iterable[bytes], parse: Parse[Key, Of]) -> dict[Key, Of]:
    """Decode messages, in the order of every snapshot."""
    return dict(sorted(filter(None, map(parse, payloads)), key=lambda item: item[0].sort_key))
