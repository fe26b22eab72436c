"""Where a store is, and how the states of a store are ordered. Pure."""

from dataclasses import dataclass

from lvsctl.errors import Conflict, StaleBase

FIRST_EPOCH = 1


@dataclass(frozen=True, slots=True)
class Position:
    """Which state of which farm.

    Within one farm a state follows another when its (epoch, revision) is higher. States of two
    farms have no order.

    Attributes:
        farm_id: Made with the store; tells one farm from another.
        epoch: Rises when a person restores a store or puts another in its place.
        revision: Of the latest commit; 0 in a new store.
    """

    farm_id: str
    epoch: int
    revision: int

    def holds(self, other: "Position") -> bool:
        """Return whether a store that is here has been at the other position before."""
        here, there = (self.epoch, self.revision), (other.epoch, other.revision)
        return self.farm_id == other.farm_id and here >= there

    def __str__(self) -> str:
        return f"revision {self.revision} of epoch {self.epoch} of farm {self.farm_id}"


def check_base(base: Position, head: Position) -> None:
    """Compare what a writer judged by with the head of the store.

    Raises:
        StaleBase: They differ.
    """
    if base != head:
        raise StaleBase(f"the store is at {head}, the change was judged at {base}; judge it again")


def check_later_epoch(head: Position, farm_id: str, epoch: int) -> None:
    """Compare the epoch that is to begin with the present one of that farm.

    Raises:
        Conflict: It is not above it.
    """
    if farm_id == head.farm_id and epoch <= head.epoch:
        raise Conflict(
            f"the store is in epoch {head.epoch} of farm {farm_id} already; "
            f"a new epoch must be above it, {epoch} is not"
        )
