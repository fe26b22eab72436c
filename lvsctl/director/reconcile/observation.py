"""What a cycle knows before it decides anything. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from lvsctl.director.reconcile.probe_plan import ProbeObservation
from lvsctl.director.reconcile.settings import Drift
from lvsctl.director.reconcile.tunnel_use import TunnelsInUse
from lvsctl.director.vips.interface import Placement
from lvsctl.ipvs.table import IpvsTable, ServiceKey
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is in the whole table.

    Attributes:
        keys: All virtual services but those of probes.
        foreign: Those that are neither ours nor the farm's, in order.
        probes: Those of probes, as they are.
        tunnels: What services use towards agents' addresses, as far as it was looked at already.
    """

    keys: Collection[ServiceKey]
    foreign: Sequence[ServiceKey]
    probes: IpvsTable
    tunnels: TunnelsInUse = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Whole:
    """What only a comparison of everything finds.

    Attributes:
        inventory: What there is in the table.
        probes: What probes have.
        settings: How each target differs from the farm.
        addresses_in_use: This host's own addresses and gateways, with what they are.
    """

    inventory: Inventory
    probes: ProbeObservation
    settings: Sequence[Drift]
    addresses_in_use: Mapping[IPAddress, str]


@dataclass(frozen=True, slots=True)
class Observation:
    """The kernel, or what concerns some services, before anything is written.

    Attributes:
        dirty: Names of the services that were observed; None for everything.
        table: Their virtual services, without those of probes.
        claims: The farm's service for each of our keys.
        ours: The same for the keys in the part that was observed.
        vips: The farm's VIPs.
        placements: What is known of VIPs.
        whole: What was found besides; None where nothing but these services was compared.
    """

    dirty: frozenset[str] | None
    table: IpvsTable
    claims: Mapping[ServiceKey, str]
    ours: Mapping[ServiceKey, str]
    vips: frozenset[IPAddress]
    placements: Mapping[IPAddress, Placement]
    whole: Whole | None = None
