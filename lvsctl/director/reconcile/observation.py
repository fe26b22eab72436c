"""What a cycle knows before it decides anything. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lvsctl.director.reconcile.probe_plan import ProbeObservation
from lvsctl.director.reconcile.settings import Drift
from lvsctl.director.vips.interface import Placement
from lvsctl.ipvs.table import IpvsTable, ServiceKey
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class Observation:
    """The kernel, or what concerns some services, before anything is written.

    Attributes:
        table: The virtual services, without those of probes.
        claims: The farm's service for each of our keys.
        ours: The same for the keys in the part that was observed.
        vips: The farm's VIPs.
        placements: What is known of VIPs.
        probes: What probes have; None where only some services were observed.
        settings: How each target differs from the farm; empty where only some services were
            observed, like the rest.
        addresses_in_use: This host's own addresses and gateways, with what they are.
    """

    table: IpvsTable
    claims: Mapping[ServiceKey, str]
    ours: Mapping[ServiceKey, str]
    vips: frozenset[IPAddress]
    placements: Mapping[IPAddress, Placement]
    probes: ProbeObservation | None = None
    settings: Sequence[Drift] = ()
    addresses_in_use: Mapping[IPAddress, str] = field(default_factory=dict)
