"""The tunnel ends on one host: brought up, kept and removed, with nothing else touched.

An end is recorded on the disk before anything is changed for it, so that after an interruption
everything that was made is known. Its device is removed with its addresses and routes.
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
    desired_state,
    down_reason,
    fits_in_place,
    is_device_of,
    must_recreate,
    observe_host,
    observe_links,
    obstacles,
)
from lvsctl.results import Failed

_log = structlog.get_logger()

_NO_ADDRESSES: Mapping[IPAddress, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EndStatus:
    """The status of an end on this host, regardless of whether the other end answers.

    Attributes:
        mtu: MTU inside the tunnel, in bytes; None if the device is missing.
        reason: Why it cannot carry packets; empty if it can.
    """

    mtu: int | None
    reason: str


class Ends:
    """The tunnel ends on one host. Belongs to one thread, as its host does.

    Args:
        host: The host.
        recorded: The recorded ends, which may exist.
        save: Saves the record; raises StoreError.
    """

    def __init__(
        self,
        host: Host,
        recorded: Sequence[TunnelEnd],
        save: Callable[[Sequence[TunnelEnd]], None],
    ) -> None:
        self._host = host
        self._recorded = {end.link: end for end in recorded}
        self._save = save

    @property
    def recorded(self) -> Mapping[str, TunnelEnd]:
        """Every end that may exist on the host, by device name."""
        return dict(self._recorded)

    def observe(self, end: TunnelEnd) -> EndStatus:
        """Return the status of an end.

        Raises:
            KernelError: The host cannot be read.
        """
        host = observe_links(self._host)
        link = host.links.get(end.link)
        return EndStatus(link.mtu if link else None, down_reason(end, host))

    def bring_up(self, end: TunnelEnd, protected: Mapping[IPAddress, str] = _NO_ADDRESSES) -> str:
        """Create or repair an end; return the problem that a repair fixed, else an empty string.

        Args:
            end: The end.
            protected: Addresses whose traffic no tunnel may capture, each with its owner.

        Raises:
            InvalidInput: The host cannot have it; nothing was changed.
            StoreError: The record could not be saved; nothing was changed.
            KernelError: The kernel refused a change; what was made so far is recorded.
        """
        old = self._recorded.get(end.link)
        if old is not None and not fits_in_place(old, end):
            self._check(end, old, protected)
            self.take_down(old.link)
            old = None
        host = observe_links(self._host)
        observed_link = host.links.get(end.link)
        present = old is not None and is_device_of(old, observed_link)
        if not present or old != end:
            self._check(end, old if present else None, protected)
        problem = "" if old is None else down_reason(end, host)
        self._record(end, old)
        if present and observed_link is not None and must_recreate(end, observed_link):
            self._apply([HostChange(LinkKey(end.link), None)])
        observed = self._host.observe(desired_state(end))
        self._apply(changes(desired_state(end), observed))
        return (
            problem
            if old == end and problem and not down_reason(end, observe_links(self._host))
            else ""
        )

    def adopt(self, end: TunnelEnd) -> None:
        """Adopt an end's existing device after the record was lost.

        Raises:
            KernelError: The host cannot be read.
            StoreError: The record could not be saved.
        """
        if end.link in self._recorded:
            return
        observed_link = self._host.observe([LinkKey(end.link)])[LinkKey(end.link)]
        if isinstance(observed_link, LinkConfig) and is_device_of(end, observed_link):
            self._record(end, None)

    def take_down(self, link: str) -> None:
        """Remove a recorded end; a device of somebody else's under its name stays.

        Raises:
            KernelError: The kernel refused; the end stays recorded.
            StoreError: The record could not be saved; the device is gone.
        """
        end = self._recorded.get(link)
        if end is None:
            return
        observed_link = self._host.observe([LinkKey(link)])[LinkKey(link)]
        if isinstance(observed_link, LinkConfig) and is_device_of(end, observed_link):
            self._apply([HostChange(LinkKey(link), None)])
        rest = {name: other for name, other in self._recorded.items() if name != link}
        self._save(tuple(rest.values()))
        self._recorded = rest

    def _check(
        self, end: TunnelEnd, replaced: TunnelEnd | None, protected: Mapping[IPAddress, str]
    ) -> None:
        problems = self.obstacles(end, replaced, protected)
        if problems:
            raise InvalidInput(problems)

    def obstacles(
        self,
        end: TunnelEnd,
        replaced: TunnelEnd | None = None,
        protected: Mapping[IPAddress, str] = _NO_ADDRESSES,
    ) -> Sequence[Problem]:
        """Return why the host cannot have an end, assuming that the one it replaces is gone.

        Raises:
            KernelError: The host cannot be read.
        """
        host = observe_host(self._host, protected)
        present = replaced is not None and is_device_of(replaced, host.links.get(end.link))
        return tuple(obstacles(end, host, present=present))

    def _record(self, end: TunnelEnd, old: TunnelEnd | None) -> None:
        if old == end:
            return
        if old is not None:
            dropped = set(old.addresses) - set(end.addresses)
            keys = [AddressKey(end.link, address) for address in dropped]
            self._apply([HostChange(key, None) for key in keys])
        after = {**self._recorded, end.link: end}
        self._save(tuple(after.values()))
        self._recorded = after

    def _apply(self, changes_to_make: Sequence[HostChange]) -> None:
        for change, result in zip(changes_to_make, self._host.apply(changes_to_make), strict=True):
            if isinstance(result, Failed):
                raise KernelError(f"{change}: {result}")
            _log.info("host changed", change=str(change))
