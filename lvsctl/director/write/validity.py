"""Validates the farm at the cost of what changed since it was last valid. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from lvsctl.director.state import State
from lvsctl.farm.objects import ObjectId
from lvsctl.farm.rules.affected import still_valid
from lvsctl.farm.rules.farm import BrokenRule, broken_rules
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class Validity:
    """An earlier state of the farm was valid.

    Attributes:
        addresses_in_use: Addresses in use outside the farm at that time.
        changed: Objects that have changed since.
    """

    addresses_in_use: Mapping[IPAddress, str]
    changed: frozenset[ObjectId] = frozenset()

    def after(self, changed: Collection[ObjectId]) -> "Validity":
        """Return the same once more objects have changed."""
        return replace(self, changed=self.changed.union(changed))


def rules_broken_by(
    state: State, addresses_in_use: Mapping[IPAddress, str], valid: Validity | None
) -> Collection[BrokenRule]:
    """Return everything that is wrong with a state.

    The whole farm is checked only if something is wrong, or if no earlier state is known to have
    been valid.

    Args:
        state: The new state.
        addresses_in_use: Addresses in use outside the farm, each with a description.
        valid: The last valid state and what changed since; None if unknown.
    """
    if valid and still_valid(
        state.farm,
        state.status,
        state.index,
        valid.changed,
        taken=addresses_in_use,
        changed_addresses=_differing(valid.addresses_in_use, addresses_in_use),
    ):
        return ()
    return [*broken_rules(state.farm, addresses_in_use, state.status.agents.values())]


def _differing(
    before: Mapping[IPAddress, str], after: Mapping[IPAddress, str]
) -> Collection[IPAddress]:
    if before is after:
        return ()
    return {address for address, _ in before.items() ^ after.items()}
