"""The VIPs on this director: looked for everywhere, added to their device, announced."""

import errno
from collections.abc import Collection, Mapping, Sequence

from lvsctl.director.vips.neighbours import Neighbours
from lvsctl.director.vips.plan import (
    VIP_LINK,
    Addresses,
    VipPlan,
    answered,
    answering_links,
    arp_ignore_keys,
    links_of,
    networks_of,
    own_addresses,
    plan_vips,
    silenced,
    unfit,
    vip_config,
    vip_key,
)
from lvsctl.farm.model import VipOwner
from lvsctl.host.interface import AddressKey, Host, HostChange, LinkConfig
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.results import Done, Failed, Result
from lvsctl.store.interface import LocalState


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
        self._wanted: Collection[IPAddress] = frozenset()
        self._present: Addresses = {}
        self._in_place: set[IPAddress] = set()
        self._problems: dict[IPAddress, str] = {}

    @property
    def problems(self) -> Mapping[IPAddress, str]:
        """Why a VIP is not on this director as it should be."""
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
        self._wanted = wanted
        if complete:
            self._present = self._host.addresses()
        if owner is VipOwner.EXTERNAL:
            self._problems.clear()
            return VipPlan(forget=tuple(self._claims))
        if not complete:
            stale = any(key.address.ip not in wanted for key in self._claims)
            if not stale and self._in_place.issuperset(wanted):
                return VipPlan()
            self._present = self._host.addresses()
        plan = plan_vips(wanted, self._present, self._claims)
        self._in_place = set(wanted).difference(key.address.ip for key in plan.missing)
        undone = {key.address.ip for key in (*plan.missing, *plan.misplaced, *plan.drifted)}
        self._problems = {vip: why for vip, why in self._problems.items() if vip in undone}
        return plan

    def remove(self, plan: VipPlan) -> frozenset[IPAddress]:
        """Take away the VIPs that nothing wants; return those that would not go."""
        stuck: set[IPAddress] = set()
        gone = [*plan.forget]
        for key, result in self._apply([HostChange(key, None) for key in plan.remove]).items():
            if isinstance(result, Done):
                gone.append(key)
            else:
                vip = key.address.ip
                self._problems[vip] = f"{key} could not be removed: {result}"
                if vip not in self._in_place:
                    stuck.add(vip)
        if gone:
            self._local.release_host(gone)
            self._claims.difference_update(gone)
        return frozenset(stuck)

    def add(self, plan: VipPlan, served: Collection[IPAddress]) -> None:
        """Add VIPs that nobody else on the links answers for, announce them, mend ours.

        Args:
            plan: What is missing, misplaced or has drifted.
            served: VIPs that have a service: any other would expose this host's own listeners.
        """
        self._set(plan.drifted)
        asked = [key for key in (*plan.missing, *plan.misplaced) if key.address.ip in served]
        if not asked:
            return
        links = links_of(self._present)
        owners = self._neighbours.owners(
            _by_link({key: links[family_of(key.address.ip)] for key in asked})
        )
        self._problems |= {
            vip: answered(key, owners[vip]) for key in asked if (vip := key.address.ip) in owners
        }
        free = [key for key in asked if key.address.ip not in owners]
        if not self._claims.issuperset(free):
            self._local.claim_host({*free, *(VIP_LINK for key in free if _is_on_vip_link(key))})
            self._claims.update(free)
        added = self._set(free)
        self._in_place.update(key.address.ip for key in added)
        self._neighbours.announce(_by_link({key: answering_links(key, links) for key in added}))

    def _set(self, keys: Sequence[AddressKey]) -> Sequence[AddressKey]:
        """Give this host addresses with the options of a VIP; return those that it has now."""
        if any(map(_is_on_vip_link, keys)):
            (link,) = self._host.apply([HostChange(VIP_LINK, LinkConfig(kind="dummy", up=True))])
            if not isinstance(link, Done):
                for key in keys:
                    self._problems[key.address.ip] = f"{key} could not be set: {link}"
                return ()
        results = self._apply([HostChange(key, vip_config(key)) for key in keys])
        for key, result in results.items():
            if isinstance(result, Done):
                self._problems.pop(key.address.ip, None)
            else:
                why = f"{key} could not be set: {result}{_cure(key, result)}"
                self._problems[key.address.ip] = why
        return [key for key, result in results.items() if isinstance(result, Done)]

    def _apply(self, changes: Sequence[HostChange]) -> Mapping[AddressKey, Result]:
        """Make changes of addresses that do not depend on each other: one call for each."""
        return {
            change.key: self._host.apply([change])[0]
            for change in changes
            if isinstance(change.key, AddressKey)
        }

    def adopt(self, vips: Collection[IPAddress]) -> None:
        """Take VIPs that stand as we would have added them for ours."""
        present = self._host.addresses()
        networks = networks_of(present)
        keys = {
            key
            for vip in vips
            for key in (vip_key(vip), vip_key(vip, networks))
            if present.get(key) == vip_config(key)
        }
        if keys:
            self._local.claim_host({*keys, *(VIP_LINK for key in keys if _is_on_vip_link(key))})
            self._claims |= keys

    def warnings(self) -> Sequence[str]:
        """Return what keeps clients from reaching VIPs that are here, in words."""
        found = [*unfit(self._wanted, self._present, self._claims)]
        if any(family_of(key.address.ip) is Family.IPV4 for key in self._claims):
            links = links_of(self._present)[Family.IPV4]
            found += silenced(links, self._host.observe(arp_ignore_keys(links)))
        return found

    def addresses_in_use(self) -> Mapping[IPAddress, str]:
        """Return this director's own addresses and its gateways, which can be no VIPs."""
        return own_addresses(self._present, self._host.gateways())


def _is_on_vip_link(key: AddressKey) -> bool:
    return key.link == VIP_LINK.name


def _by_link(links: Mapping[AddressKey, Collection[str]]) -> Mapping[str, list[IPAddress]]:
    found: dict[str, list[IPAddress]] = {}
    for key, names in links.items():
        for name in names:
            found.setdefault(name, []).append(key.address.ip)
    return found


def _cure(key: AddressKey, result: Result) -> str:
    off = isinstance(result, Failed) and result.errno == errno.EACCES
    if off and family_of(key.address.ip) is Family.IPV6:
        return f"; IPv6 is off there: sysctl -w net.ipv6.conf.{key.link}.disable_ipv6=0"
    return ""
