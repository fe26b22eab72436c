"""Compares everything with the kernel, in slices that leave room for other work between them.

A resync only finds out what differs. What differs is then observed, decided and written by an
ordinary cycle, in which nothing that was found earlier is taken for true. So whatever is written
between two slices does no harm: at worst a service is observed again for nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from lvsctl.director.reconcile.compiled import CompiledServices
from lvsctl.director.reconcile.observation import Inventory
from lvsctl.director.reconcile.readings import Claims
from lvsctl.director.reconcile.tunnel_use import tunnels_in_use
from lvsctl.director.state import State
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import Encapsulation, ServiceKey, VirtualService
from lvsctl.net import IPAddress

SLICE_S = 0.02
"""So long other work waits at most; a single service is not divided."""


class Resync:
    """One comparison of everything; belongs to the reconciler's thread.

    Attributes:
        differing: Names of services that are not as they should be, or whose weights change by
            themselves before long.

    Args:
        ipvs: The virtual services.
        compiled: What they should be.
        claims: Returns which are ours.
        began: How many writes there had been before it began.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self,
        ipvs: Ipvs,
        compiled: CompiledServices,
        claims: Callable[[], Claims],
        began: int,
        monotonic: Callable[[], float],
    ) -> None:
        self.began = began
        self.differing: set[str] = set()
        self._keys: frozenset[ServiceKey] = frozenset()
        self._foreign: Sequence[ServiceKey] = ()
        self._probes: dict[ServiceKey, VirtualService] = {}
        self._tunnels = dict[IPAddress, AbstractSet[Encapsulation]]()
        self._ipvs = ipvs
        self._compiled = compiled
        self._claims = claims
        self._monotonic = monotonic
        self._steps: Iterator[None] | None = None
        self._state: State

    def advance(self, state: State) -> bool:
        """Compare for one slice of time; return whether everything has been compared.

        Args:
            state: What should be, at present.

        Raises:
            KernelError: The kernel could not be read.
        """
        until = self._monotonic() + SLICE_S
        self._state = state
        if self._steps is None:
            self._steps = self._walk()
        return all(self._monotonic() < until for _ in self._steps)

    @property
    def inventory(self) -> Inventory:
        """What there is in the table, once everything was compared."""
        return Inventory(self._keys, self._foreign, self._probes, self._tunnels)

    def _walk(self) -> Iterator[None]:
        sweep, claims = self._ipvs.sweep(), self._claims()
        self._compare_keys(frozenset(sweep.keys), claims)
        yield
        for key, service in sweep.services:
            self._compare(key, service, claims)
            yield

    def _compare_keys(self, found: frozenset[ServiceKey], claims: Claims) -> None:
        """Find what is missing, and what is not ours; by now, as claims may change later."""
        index = self._state.index.keys
        ours, wanted = frozenset(claims.services), frozenset(index)
        self._keys = found - claims.probes
        self._foreign = sorted(self._keys - ours - wanted, key=lambda key: key.sort_key)
        for key in (wanted - found) | (wanted & self._keys) - ours:
            self.differing.update(index[key])
        self.differing.update(claims.services[key] for key in ours - found)

    def _compare(self, key: ServiceKey, service: VirtualService, claims: Claims) -> None:
        name = claims.services.get(key)
        if key in claims.probes:
            self._probes[key] = service
        elif name is None:
            return
        else:
            self._compare_ours(key, service, name)
        agents = self._state.index.agents
        if agents:
            for address, used in tunnels_in_use({key: service}, agents).items():
                self._tunnels[address] = self._tunnels.get(address, frozenset()) | used

    def _compare_ours(self, key: ServiceKey, service: VirtualService, name: str) -> None:
        compiled = self._compiled.get(name, self._state)
        if compiled is None or compiled.next_change is not None:
            self.differing.add(name)
            return
        wanted = compiled.table.get(key)
        if wanted is service:
            return
        if wanted == service:
            compiled.table[key] = service  # the next time they are the same at a glance
        else:
            self.differing.add(name)
