"""What an agent knows when it starts, damaged files or not."""

from dataclasses import dataclass

from lvsctl.agent.assignments import UNKNOWN_FARM, Assignments
from lvsctl.agent.faults import Place
from lvsctl.agent.policy import screened_whole
from lvsctl.agent.record import Record
from lvsctl.agent.state_dir import ASSIGNMENTS, RECORD, TUNNEL_ENDS, StateDir
from lvsctl.errors import StoreCorrupt
from lvsctl.host.interface import AddressKey, FouPortKey, LinkKey
from lvsctl.host.receivers import tunnels_of
from lvsctl.messages.model import Assignment, TunnelEnd
from lvsctl.point_to_point.record import EndsFile


@dataclass(frozen=True, slots=True)
class RestoredState:
    """What was on the disk.

    Attributes:
        assignments: What the host has to serve.
        record: How it was found.
        problems: What could not be read, for a person.
        ends: Ends of point-to-point tunnels that may have been made.
        ends_lost: Nothing is known of them, as their file was damaged.
    """

    assignments: Assignments
    record: Record
    problems: tuple[str, ...] = ()
    ends: tuple[TunnelEnd, ...] = ()
    ends_lost: bool = False


def restore_state(state: StateDir, boot: str) -> RestoredState:
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
        read = state.assignments()
        assignments, refusals = screened_whole(read, _place(read))
    except StoreCorrupt as error:
        state.keep_damaged(ASSIGNMENTS)
        assignments, refusals = Assignments(), ()
        state.keep_assignments(assignments)
        problems.append(f"{error}; what it said is asked of the director again")
    if refusals:
        state.keep_damaged(ASSIGNMENTS)
        state.keep_assignments(assignments)
        problems += [f"{state.path / ASSIGNMENTS}: {fault.detail}" for fault in refusals]
    ends_file = EndsFile(state.path / TUNNEL_ENDS, boot)
    ends: tuple[TunnelEnd, ...] = ()
    ends_lost = False
    try:
        ends_file.forget_lost()
        ends = ends_file.present()
    except StoreCorrupt as error:
        ends_file.start_over()
        ends_lost = True
        problems.append(f"{error}; tunnels that are no longer assigned stay on this host")
    if not assignments.farms:
        assignments = _still_here(record, ends)
    return RestoredState(assignments, record, tuple(problems), ends, ends_lost)


def _place(assignments: Assignments) -> Place:
    return Place(assignments.current.agent if assignments.current else "this host")


def _still_here(record: Record, ends: tuple[TunnelEnd, ...]) -> Assignments:
    """Return an assignment for what we once added, since nobody said to remove it."""
    ours = [key for key, entry in record.found.items() if entry.ours]
    vips = tuple({key.address.ip: None for key in ours if isinstance(key, AddressKey)})
    if not vips and not ends:
        return Assignments()
    links = {key.name for key in ours if isinstance(key, LinkKey)}
    ports = [key.port for key in ours if isinstance(key, FouPortKey)]
    return Assignments(
        (Assignment(UNKNOWN_FARM, "", vips, tunnels_of(links, ports), tunnel_ends=ends),)
    )
