"""Which services of the farm have one of our virtual services, and therefore which VIPs. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lvsctl.net import IPAddress


@dataclass(frozen=True)
class Serving:
    """The farm's services that have at least one of our virtual services.

    Attributes:
        services: VIP of each, by name.
    """

    services: Mapping[str, IPAddress] = field(default_factory=dict)

    @cached_property
    def vips(self) -> frozenset[IPAddress]:
        """Every VIP that is served."""
        return frozenset(self.services.values())

    def after(self, found: Mapping[str, IPAddress], dirty: frozenset[str] | None) -> "Serving":
        """Return what serves after some services, or with None all, were observed again."""
        kept = {} if dirty is None else {n: v for n, v in self.services.items() if n not in dirty}
        services = {**kept, **found}
        return self if services == self.services else Serving(services)
