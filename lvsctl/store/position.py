"""The position of a store, and the order of its states. Pure."""

from dataclasses import dataclass

from lvsctl.errors import Conflict, StaleBase

FIRST_EPOCH = 1


@dataclass(frozen=True, slots=True)
class Position:
    """Identifies a state of a farm.

    Within a farm, a state with a higher (epoch, revision) is later. States of different farms are
    not ordered.

    Attributes:
        farm_id: Identifies the farm; generated with the store.
        epoch: Incremented when an operator restores or replaces a store.
        revision: Revision of the latest commit; 0 in a new store.
    """

    farm_id: str
    epoch: int
    revision: int

    def holds(self, other: "Position") -> bool:
        """Tell whether this position is the other one or a later one of the same farm."""
        here, there = (self.epoch, self.revision), (other.epoch, other.revision)
        return self.farm_id == other.farm_id and here >= there

    def __str__(self) -> str:
        return f"revision {self.revision} of epoch {self.epoch} of farm {self.farm_id}"


def check_base(base: Position, head: Position) -> None:
    """Compare the base of a commit with the head of the store.

    Raises:
        StaleBase: They differ.
    """
    if base != head:
        raise StaleBase(f"the store is at {head}, but the change was validated at {base}")


def check_later_epoch(head: Position, farm_id: str, epoch: int) -> None:
    """Check that an epoch is above the present one, if the farm is the same.

    Raises:
        Conflict: It is not.
    """
    if farm_id == head.farm_id and epoch <= head.epoch:
        raise Conflict(
            f"the store is already in epoch {head.epoch} of farm {farm_id}; "
            f"a new epoch must be above that, but {epoch} is not"
        )
