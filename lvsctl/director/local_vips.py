"""The VIPs on this director: looked for everywhere, added to our own device, announced."""

from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address

from lvsctl.director.neighbours import Neighbours
from lvsctl.director.vips import (
    NOTHING,
    VIP_LINK,
    VipPlan,
    answered,
    arp_ignore_keys,
    arp_links,
    plan_vips,
    silenced,
    vip_key,
)
from lvsctl.farm import VipOwner
from lvsctl.host.protocol import AddressConfig, AddressKey, Host, HostChange, LinkConfig
from lvsctl.ipvs_table import IPAddress
from lvsctl.results import Done
from lvsctl.store.protocol import LocalState


class LocalVips:
    """Keeps VIPs local to this director; belongs to the reconciler's thread.

    Args:
        host: Where the addresses are.
        neighbours: Who else might have one.
        local: Which addresses are ours to remove.
    """

    def __init__(self, host: Host, neighbours: Neighbours, local: LocalState) -> None:
        self._host = host
        self._neighbours = neighbours
        self._local = local
        self._claims = {key for key in local.host_claims() if isinstance(key, AddressKey)}
        self._links: frozenset[str] = frozenset()
        self._in_place: frozenset[IPAddress] = frozenset()
        self._problems: dict[IPAddress, str] = {}

    @property
    def problems(self) -> Mapping[IPAddress, str]:
        """Why a VIP that should be on this director is not."""
        return dict(self._problems)

    def in_place(self, wanted: Collection[IPAddress], owner: VipOwner) -> Collection[IPAddress]:
        """Return which VIPs were seen here last; where they are others' affair, all of them."""
        return wanted if owner is VipOwner.EXTERNAL else self._in_place

    def plan(self, wanted: Collection[IPAddress], owner: VipOwner, *, complete: bool) -> VipPlan:
        """Compare this host's addresses with the VIPs that should be local.

        Args:
            wanted: All VIPs of the farm.
            owner: Who puts them here. Where it is not lvsctl, what we added stays and is no
                longer ours.
            complete: Look at the host in any case; otherwise only if the VIPs differ from those
                seen in place last.
        """
        if owner is VipOwner.EXTERNAL:
            self._problems.clear()
            return VipPlan((), (), tuple(self._claims))
        stale = any(key.address.ip not in wanted for key in self._claims)
        if not (complete or stale or not self._in_place.issuperset(wanted)):
            return NOTHING
        present = frozenset(self._host.addresses())
        plan = plan_vips(wanted, present, self._claims)
        self._links = arp_links(present)
        self._in_place = frozenset(wanted) - frozenset(plan.missing)
        self._problems = {vip: why for vip, why in self._problems.items() if vip in plan.missing}
        return plan

    def remove(self, plan: VipPlan) -> frozenset[IPAddress]:
        """Take away the VIPs that nothing wants; return those that would not go."""
        stuck: set[IPAddress] = set()
        gone = [*plan.forget]
        for key in plan.remove:
            (result,) = self._host.apply([HostChange(key, None)])
            if isinstance(result, Done):
                gone.append(key)
            else:
                vip = key.address.ip
                stuck.add(vip)
                self._problems[vip] = f"{key} could not be removed: {result}"
        if gone:
            self._local.release_host(gone)
            self._claims.difference_update(gone)
        return frozenset(stuck)

    def add(self, vips: Collection[IPAddress]) -> None:
        """Add VIPs that nobody else on the links answers for, and announce them."""
        if not vips:
            return
        v4 = [vip for vip in vips if isinstance(vip, IPv4Address)]
        owners = self._neighbours.owners(v4, self._links)
        self._problems |= {vip: answered(vip, who) for vip, who in owners.items()}
        free = [vip for vip in vips if vip not in owners]
        keys = {vip_key(vip) for vip in free}
        if not keys <= self._claims:
            self._local.claim_host({VIP_LINK, *keys})
            self._claims |= keys
        (link,) = self._host.apply([HostChange(VIP_LINK, LinkConfig(kind="dummy", up=True))])
        added: list[IPv4Address] = []
        for vip in free:
            result = link
            if isinstance(link, Done):
                (result,) = self._host.apply([HostChange(vip_key(vip), AddressConfig())])
            if isinstance(result, Done):
                self._problems.pop(vip, None)
                self._in_place |= {vip}
                if isinstance(vip, IPv4Address):
                    added.append(vip)
            else:
                self._problems[vip] = f"{vip} could not be added to {VIP_LINK}: {result}"
        self._neighbours.announce(added, self._links)

    def adopt(self, vips: Collection[IPAddress]) -> None:
        """Take VIPs that stand on our device for ours."""
        keys = {vip_key(vip) for vip in vips} & set(self._host.addresses())
        if keys:
            self._local.claim_host({VIP_LINK, *keys})
            self._claims |= keys

    def warnings(self) -> Sequence[str]:
        """Return what keeps clients from finding the VIPs that we added, in words."""
        if not self._claims:
            return ()
        return silenced(self._links, self._host.observe(arp_ignore_keys(self._links)))

    def taken(self) -> Mapping[IPAddress, str]:
        """Return this director's own addresses and its gateways, which can be no VIPs.

        A device's own address is the first that has a network around it: one that stands alone
        (/32), or came later, may well be a VIP that somebody put there.
        """
        found: dict[IPAddress, str] = {
            gateway: f"the gateway on {link}" for link, gateway in self._host.gateways()
        }
        seen: set[tuple[str, int]] = set()
        for key in self._host.addresses():
            of = (key.link, key.address.version)
            alone = key.address.network.num_addresses == 1
            if key.link != VIP_LINK.name and not alone and of not in seen:
                seen.add(of)
                found[key.address.ip] = f"this director ({key.link})"
        return found
