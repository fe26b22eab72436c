"""What an agent knows when it starts, damaged files or not."""

from dataclasses import dataclass

from lvsctl.agent.assignments import UNKNOWN_FARM, Assignments
from lvsctl.agent.messages import Assignment, Tunnel
from lvsctl.agent.record import Record
from lvsctl.agent.state_dir import ASSIGNMENTS, RECORD, StateDir
from lvsctl.agent.tunnels import TUNNEL_DEVICES
from lvsctl.errors import StoreCorrupt
from lvsctl.host.protocol import AddressKey


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was on the disk.

    Attributes:
        assignments: What the host has to serve.
        record: How it was found.
        problems: What could not be read, for a person.
    """

    assignments: Assignments
    record: Record
    problems: tuple[str, ...] = ()


def recall(state: StateDir, boot: str) -> Recalled:
    """Read the state folder; a damaged file is kept aside and takes no VIP out of service.

    Args:
        state: The folder.
        boot: Which kernel and network namespace this is.

    Raises:
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk refuses.
    """
    problems = []
    try:
        record = state.record(boot)
    except StoreCorrupt as error:
        record = Record(boot, lost=True)
        state.keep_damaged(RECORD)
        state.keep_record(record)
        problems.append(
            f"{error}; how the host was found is lost: a leave takes VIPs and device away, "
            "but leaves the sysctls as they are"
        )
    try:
        assignments = state.assignments()
    except StoreCorrupt as error:
        state.keep_damaged(ASSIGNMENTS)
        assignments = Assignments()
        state.keep_assignments(assignments)
        problems.append(f"{error}; what it said is asked of the director again")
    if not assignments.farms:
        assignments = _still_here(record)
    return Recalled(assignments, record, tuple(problems))


def _still_here(record: Record) -> Assignments:
    """Return an assignment for the VIPs that we once added, since nobody said to remove them."""
    ours = [key for key, entry in record.found.items() if entry.ours]
    vips = tuple(key.address.ip for key in ours if isinstance(key, AddressKey))
    links = {key.link for key in ours if isinstance(key, AddressKey)}
    tunnels = tuple(
        Tunnel(type_) for type_, device in TUNNEL_DEVICES.items() if links & set(device.names)
    )
    return Assignments((Assignment(UNKNOWN_FARM, "", vips, tunnels),)) if vips else Assignments()
