"""VIPs that lvsctl places itself: checked for duplicates, added to a device, announced."""

import errno
from collections.abc import Collection, Mapping, Sequence

from lvsctl.director.vips.detection import DuplicateDetection
from lvsctl.director.vips.interface import Placement, PlacementState
from lvsctl.director.vips.plan import (
    VIP_LINK,
    Addresses,
    VipPlan,
    answered,
    answering_links,
    arp_ignore_keys,
    links_of,
    networks_of,
    plan_vips,
    silenced,
    unfit,
    vip_config,
    vip_key,
)
from lvsctl.host.interface import AddressKey, Host, HostChange, LinkConfig
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.reasons import services as reasons
from lvsctl.reasons.reason import Reason
from lvsctl.results import Done, Failed, Result
from lvsctl.store.interface import LocalState

_NOTHING = frozenset[IPAddress](), frozenset[IPAddress]()


class ManagedVips:
    """Places VIPs on devices of this director.

    Args:
        host: The host.
        detection: Detects other owners.
        local: The local state, with claims of addresses that lvsctl added.
    """

    def __init__(self, host: Host, detection: DuplicateDetection, local: LocalState) -> None:
        self._host = host
        self._detection = detection
        self._host_claims = local.host_claims
        self._claims = {key for key in local.host_claims.claimed() if isinstance(key, AddressKey)}
        self._wanted: frozenset[IPAddress] = frozenset()
        self._ensured: tuple[frozenset[IPAddress], frozenset[IPAddress]] | None = _NOTHING
        self._addresses: Addresses = {}
        self._plan: VipPlan | None = None
        self._in_place: set[IPAddress] = set()
        self._owners: dict[IPAddress, str] = {}
        self._problems: dict[IPAddress, Reason] = {}

    def observe(self, vips: Collection[IPAddress], addresses: Addresses | None) -> None:
        """Update from this host's addresses; whatever is not in place is retried."""
        if addresses is None:
            return
        present = {key.address.ip for key in addresses}
        self._in_place = present.intersection(vips)
        self._addresses, self._plan, self._ensured = addresses, None, None
        self._owners.clear()

    def planned(self, wanted: Collection[IPAddress]) -> Sequence[HostChange]:
        """Return what ``ensure`` would change on this host, in order, without writing."""
        return self._compare(frozenset(wanted)).changes

    def ensure(self, wanted: Collection[IPAddress], served: Collection[IPAddress]) -> None:
        """Work towards exactly the wanted VIPs; repeating the same sets changes nothing."""
        sets = frozenset(wanted), frozenset(served)
        if sets == self._ensured and not self._detection.has_answers:
            return
        just_observed = self._ensured is None
        if just_observed or self._detection.has_answers or not self._is_settled(sets[0]):
            if not just_observed:
                self._addresses, self._plan = self._host.addresses(), None
            plan = self._compare(sets[0])
            self._remove(plan)
            self._add(plan, sets[1])
        self._wanted, self._ensured = sets[0], sets

    def _is_settled(self, wanted: frozenset[IPAddress]) -> bool:
        return self._in_place.issuperset(wanted) and all(
            key.address.ip in wanted for key in self._claims
        )

    def _compare(self, wanted: frozenset[IPAddress]) -> VipPlan:
        if self._plan is None or wanted != self._wanted:
            plan = self._plan = plan_vips(wanted, self._addresses, self._claims)
            self._wanted = wanted
            self._in_place = set(wanted).difference(key.address.ip for key in plan.missing)
            undone = {key.address.ip for key in (*plan.missing, *plan.misplaced, *plan.drifted)}
            self._problems = {vip: why for vip, why in self._problems.items() if vip in undone}
        return self._plan

    def holds(self) -> Mapping[IPAddress, Placement]:
        """Return the state of each VIP that is wanted or still here."""
        states = {
            **dict.fromkeys((key.address.ip for key in self._claims), PlacementState.WITHDRAWING),
            **dict.fromkeys(self._wanted, PlacementState.PENDING),
            **dict.fromkeys(self._in_place, PlacementState.PLACED),
        }
        return {vip: self._placement(vip, state) for vip, state in states.items()}

    def _placement(self, vip: IPAddress, state: PlacementState) -> Placement:
        if vip in self._problems:
            return Placement(state, self._problems[vip])
        if state is PlacementState.PENDING and self._detection.is_asking(vip):
            return Placement(state, reasons.DUPLICATE_CHECK(vip), passing=True)
        return Placement(state)

    def withdrawn(self, vip: IPAddress) -> bool:
        """Tell whether an unwanted VIP is no longer on this director, if it was placed here."""
        return all(key.address.ip != vip for key in self._claims)

    def hand_over(self) -> None:
        """Hand the VIPs over to another placement; they stay, and are not removed later."""
        self._release(tuple(self._claims))
        self._in_place.clear()
        self._ensured = _NOTHING

    def _remove(self, plan: VipPlan) -> None:
        gone = [*plan.forget]
        for key, result in self._apply([HostChange(key, None) for key in plan.remove]).items():
            if isinstance(result, Done):
                gone.append(key)
            else:
                self._problems[key.address.ip] = reasons.VIP_NOT_REMOVED(key, result=result)
        self._release(gone)

    def _release(self, keys: Collection[AddressKey]) -> None:
        if keys:
            self._host_claims.release(keys)
            self._claims.difference_update(keys)

    def _add(self, plan: VipPlan, served: Collection[IPAddress]) -> None:
        """Add VIPs that no other host answers for, announce them, and repair claimed ones."""
        self._set(plan.drifted)
        wanted = [key for key in (*plan.missing, *plan.misplaced) if key.address.ip in served]
        links = links_of(self._addresses)
        answers = self._find_owners(
            {
                key.address.ip: links[family_of(key.address.ip)]
                for key in wanted
                if key.address.ip not in self._owners
            }
        )
        self._owners |= {vip: who for vip, who in answers.items() if who}
        self._problems |= {
            vip: answered(key, self._owners[vip])
            for key in wanted
            if (vip := key.address.ip) in self._owners
        }
        free = [key for key in wanted if answers.get(key.address.ip) == ""]
        if not self._claims.issuperset(free):
            self._host_claims.claim({*free, *(VIP_LINK for key in free if _is_on_vip_link(key))})
            self._claims.update(free)
        added = self._set(free)
        self._in_place.update(key.address.ip for key in added)
        if added:
            self._detection.announce(_by_link({key: answering_links(key, links) for key in added}))

    def _find_owners(self, links: Mapping[IPAddress, Collection[str]]) -> Mapping[IPAddress, str]:
        """Return the known other owners of addresses; "" if there is none."""
        answers = self._detection.take()
        self._detection.ask({vip: each for vip, each in links.items() if vip not in answers})
        return {**answers, **self._detection.take()}

    def _set(self, keys: Sequence[AddressKey]) -> Sequence[AddressKey]:
        """Add addresses with the options of a VIP; return those that were added."""
        if any(map(_is_on_vip_link, keys)):
            (link,) = self._host.apply([HostChange(VIP_LINK, LinkConfig(kind="dummy", up=True))])
            if not isinstance(link, Done):
                for key in keys:
                    self._problems[key.address.ip] = reasons.VIP_NOT_SET(key, result=link)
                return ()
        results = self._apply([HostChange(key, vip_config(key)) for key in keys])
        for key, result in results.items():
            if isinstance(result, Done):
                self._problems.pop(key.address.ip, None)
            else:
                self._problems[key.address.ip] = _not_set(key, result)
        return [key for key, result in results.items() if isinstance(result, Done)]

    def _apply(self, changes: Sequence[HostChange]) -> Mapping[AddressKey, Result]:
        """Make independent changes of addresses, one call each."""
        return {
            change.key: self._host.apply([change])[0]
            for change in changes
            if isinstance(change.key, AddressKey)
        }

    def adopt(self, vips: Collection[IPAddress]) -> None:
        """Claim VIPs that are exactly as lvsctl would have added them."""
        present = self._host.addresses()
        networks = networks_of(present)
        keys = {
            key
            for vip in vips
            for key in (vip_key(vip), vip_key(vip, networks))
            if present.get(key) == vip_config(key)
        }
        if keys:
            self._host_claims.claim({*keys, *(VIP_LINK for key in keys if _is_on_vip_link(key))})
            self._claims |= keys

    def warnings(self) -> Sequence[Reason]:
        """Return why clients cannot reach VIPs that are here."""
        found = [*unfit(self._wanted, self._addresses, self._claims)]
        if any(family_of(key.address.ip) is Family.IPV4 for key in self._claims):
            links = links_of(self._addresses)[Family.IPV4]
            found += silenced(links, self._host.observe(arp_ignore_keys(links)))
        return found


def _is_on_vip_link(key: AddressKey) -> bool:
    return key.link == VIP_LINK.name


def _by_link(links: Mapping[AddressKey, Collection[str]]) -> Mapping[str, list[IPAddress]]:
    found: dict[str, list[IPAddress]] = {}
    for key, names in links.items():
        for name in names:
            found.setdefault(name, []).append(key.address.ip)
    return found


def _not_set(key: AddressKey, result: Result) -> Reason:
    off = isinstance(result, Failed) and result.errno == errno.EACCES
    if off and family_of(key.address.ip) is Family.IPV6:
        switch = f"net.ipv6.conf.{key.link}.disable_ipv6"
        return reasons.VIP_IPV6_OFF(key, result=result, switch=switch)
    return reasons.VIP_NOT_SET(key, result=result)
