"""How a host was found before lvsctl changed it, so that it can be left that way. Pure.

The record is on disk before the first change that it covers. Interrupted after any change and
then left, a host is as it was found, and what others changed after us stays theirs:

- a key's configuration is recorded once, together with every value that we ever set it to;
- leaving puts a key back only while it still has one of those values.

Writing ``net.ipv4.conf.default.X`` also changes X on every device where nobody ever wrote X
(``devinet_copy_dflt_conf`` in net/ipv4/devinet.c). So all keys of a set-up are recorded before
any of them is changed, not only those that need a change themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.interface import (
    AddressKey,
    Config,
    FouPortKey,
    HostChange,
    HostKey,
    HostState,
    LinkConfig,
    LinkKey,
    RouteKey,
    RuleKey,
    SysctlKey,
)
from lvsctl.host.plan import satisfies


@dataclass(frozen=True, slots=True)
class BaselineEntry:
    """One key of the record.

    Attributes:
        found: What it was; None for absent.
        ours: What we set it to, oldest first; empty while we only looked.
    """

    found: Config | None
    ours: tuple[Config | None, ...] = ()


Baseline = Mapping[HostKey, BaselineEntry]


def extend(found: Baseline, wanted: HostState, observed: HostState) -> Baseline:
    """Return the record as it must be on disk before ``wanted`` is made so.

    It is ``found`` itself where nothing has to change.

    Args:
        found: The record so far.
        wanted: What is about to be made so. Where it has a parameter of ``default``, it has that
            parameter of every device too, if only as it is.
        observed: What is, at least for every key of ``wanted``.
    """
    to_set = {key: config for key, config in wanted.items() if not satisfies(config, observed[key])}
    if not to_set:
        return found
    record = dict(found)
    for key in wanted:
        record.setdefault(key, BaselineEntry(observed[key]))
    for key, config in to_set.items():
        entry = record[key]
        if config not in entry.ours:
            record[key] = replace(entry, ours=(*entry.ours, config))
    return record


def is_ours(entry: BaselineEntry, observed: Config | None) -> bool:
    """Tell whether a thing has a value that we gave it."""
    return any(satisfies(config, observed) for config in entry.ours)


def plan_restore(found: Baseline, observed: HostState) -> tuple[HostChange, ...]:
    """Return what puts every key back that still is ours, in an order safe at every step.

    Addresses go first, so that no VIP is ever announced with ARP sysctls that are not ours any
    more; then rules, routes, devices and fou ports; sysctls last, ``all`` before the devices'
    own, so that no device is for a moment more open than it was found and than it is now.
    """
    newest_first = list(found.items())[::-1]
    in_order = sorted(newest_first, key=lambda item: _rank(item[0]))
    return tuple(
        HostChange(key, target)
        for key, entry in in_order
        if is_ours(entry, observed[key])
        and not satisfies(target := _target(key, entry), observed[key])
    )


def _target(key: HostKey, entry: BaselineEntry) -> Config | None:
    match key, entry.found:
        case LinkKey(name=name), None if name in FALLBACK_DEVICES:
            # It cannot be deleted. Down is how a freshly loaded module leaves it.
            return LinkConfig(FALLBACK_DEVICES[name].kind, up=False)
        case LinkKey(), LinkConfig() as link if all(
            isinstance(ours, LinkConfig) and ours.mtu is None for ours in entry.ours
        ):
            return replace(link, mtu=None)
        case SysctlKey(), None:
            # It came with its device and goes with it.
            return entry.ours[-1] if entry.ours else None
        case _:
            return entry.found


_RANKS: Mapping[type, int] = {
    AddressKey: 0,
    RuleKey: 1,
    RouteKey: 2,
    LinkKey: 3,
    FouPortKey: 4,
}
_TEMPLATE_RANKS: Mapping[str, int] = {"all": 5, "default": 6}
_RANK_OTHER_SYSCTL = 7


def _rank(key: HostKey) -> int:
    if isinstance(key, SysctlKey):
        return min(_TEMPLATE_RANKS.get(part, _RANK_OTHER_SYSCTL) for part in key.path)
    return _RANKS[type(key)]
