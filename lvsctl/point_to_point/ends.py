"""The tunnel ends of one host: brought up, kept and taken away, and nothing else touched.

An end is on the disk before anything is changed for it. Interrupted anywhere, what was made is
therefore known, and its device goes with all that is on it: addresses and routes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import structlog

from lvsctl.errors import InvalidInput, KernelError, Problem
from lvsctl.host.interface import AddressKey, Host, HostChange, LinkConfig, LinkKey
from lvsctl.host.plan import changes
from lvsctl.messages.model import TunnelEnd
from lvsctl.net import IPAddress
from lvsctl.point_to_point.end import (
    fits_in_place,
    has_to_be_made_again,
    is_device_of,
    obstacles,
    view_of,
    wanted_state,
    whole_view_of,
    why_down,
)
from lvsctl.results import Failed

_log = structlog.get_logger()

_NOBODY: Mapping[IPAddress, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ManagedEnd:
    """How an end is on this host; whether the other one answers is another matter.

    Attributes:
        mtu: Bytes inside; None where the device is missing.
        reason: What keeps it from carrying packets; empty for nothing.
    """

    mtu: int | None
    reason: str


class Ends:
    """Ends on one host. Belongs to one thread, as its host does.

    Args:
        host: The host.
        recorded: Those that were recorded, and may have been made.
        keep: Writes the record to the disk; raises StoreError.
    """

    def __init__(
        self,
        host: Host,
        recorded: Sequence[TunnelEnd],
        keep: Callable[[Sequence[TunnelEnd]], None],
    ) -> None:
        self._host = host
        self._recorded = {end.link: end for end in recorded}
        self._keep = keep

    @property
    def recorded(self) -> Mapping[str, TunnelEnd]:
        """Every end that may be on the host, by its device."""
        return dict(self._recorded)

    def standing(self, end: TunnelEnd) -> ManagedEnd:
        """Look at an end.

        Raises:
            KernelError: The host cannot be read.
        """
        host = view_of(self._host)
        link = host.links.get(end.link)
        return ManagedEnd(link.mtu if link else None, why_down(end, host))

    def bring_up(self, end: TunnelEnd, protected: Mapping[IPAddress, str] = _NOBODY) -> str:
        """Make the host have an end; return what was mended of one that had been there.

        Args:
            end: The end.
            protected: Addresses that no tunnel may take, each with whose it is.

        Raises:
            InvalidInput: The host cannot have it, and nothing was touched.
            StoreError: The disk does not keep it, and nothing was touched.
            KernelError: The kernel refused a change; what was made so far is recorded.
        """
        old = self._recorded.get(end.link)
        if old is not None and not fits_in_place(old, end):
            self._refuse(end, old, protected)
            self.take_down(old.link)
            old = None
        host = view_of(self._host)
        seen = host.links.get(end.link)
        present = old is not None and is_device_of(old, seen)
        if not present or old != end:
            self._refuse(end, old if present else None, protected)
        was = "" if old is None else why_down(end, host)
        self._record(end, old)
        if present and seen is not None and has_to_be_made_again(end, seen):
            self._apply([HostChange(LinkKey(end.link), None)])
        observed = self._host.observe(wanted_state(end))
        self._apply(changes(wanted_state(end), observed))
        return was if old == end and was and not why_down(end, view_of(self._host)) else ""

    def presume(self, end: TunnelEnd) -> None:
        """Take a device for ours that is wholly an end's, where the record was lost.

        Raises:
            KernelError: The host cannot be read.
            StoreError: The disk does not keep it.
        """
        if end.link in self._recorded:
            return
        seen = self._host.observe([LinkKey(end.link)])[LinkKey(end.link)]
        if isinstance(seen, LinkConfig) and is_device_of(end, seen):
            self._record(end, None)

    def take_down(self, link: str) -> None:
        """Remove an end that was recorded; a device that somebody else made under its name stays.

        Raises:
            KernelError: The kernel refused; the end stays recorded.
            StoreError: The disk does not forget it; its device is gone.
        """
        end = self._recorded.get(link)
        if end is None:
            return
        seen = self._host.observe([LinkKey(link)])[LinkKey(link)]
        if isinstance(seen, LinkConfig) and is_device_of(end, seen):
            self._apply([HostChange(LinkKey(link), None)])
        rest = {name: other for name, other in self._recorded.items() if name != link}
        self._keep(tuple(rest.values()))
        self._recorded = rest

    def _refuse(
        self, end: TunnelEnd, replaced: TunnelEnd | None, protected: Mapping[IPAddress, str]
    ) -> None:
        problems = self.obstacles(end, replaced, protected)
        if problems:
            raise InvalidInput(problems)

    def obstacles(
        self,
        end: TunnelEnd,
        replaced: TunnelEnd | None = None,
        protected: Mapping[IPAddress, str] = _NOBODY,
    ) -> Sequence[Problem]:
        """Return why the host cannot have an end, once the one that it replaces is gone.

        Raises:
            KernelError: The host cannot be read.
        """
        host = whole_view_of(self._host, protected)
        present = replaced is not None and is_device_of(replaced, host.links.get(end.link))
        return tuple(obstacles(end, host, present=present))

    def _record(self, end: TunnelEnd, old: TunnelEnd | None) -> None:
        if old == end:
            return
        if old is not None:
            given_up = set(old.addresses) - set(end.addresses)
            keys = [AddressKey(end.link, address) for address in given_up]
            self._apply([HostChange(key, None) for key in keys])
        after = {**self._recorded, end.link: end}
        self._keep(tuple(after.values()))
        self._recorded = after

    def _apply(self, wanted: Sequence[HostChange]) -> None:
        for change, result in zip(wanted, self._host.apply(wanted), strict=True):
            if isinstance(result, Failed):
                raise KernelError(f"{change}: {result}")
            _log.info("host changed", change=str(change))
