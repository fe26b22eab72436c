"""What an agent restores from its state folder when it starts, damaged files or not."""

from dataclasses import dataclass

from lvsctl.agent.assignments import UNKNOWN_FARM, Assignments
from lvsctl.agent.faults import FaultLocation
from lvsctl.agent.policy import screen_all
from lvsctl.agent.record import Record
from lvsctl.agent.state_dir import ASSIGNMENTS, RECORD, TUNNEL_ENDS, StateDir
from lvsctl.errors import StoreCorrupt
from lvsctl.host.interface import AddressKey, FouPortKey, LinkKey
from lvsctl.host.receivers import tunnels_of
from lvsctl.messages.model import Assignment, TunnelEnd
from lvsctl.point_to_point.record import EndsFile


@dataclass(frozen=True, slots=True)
class RestoredState:
    """The restored state.

    Attributes:
        assignments: What the host has to serve.
        record: Its original configuration.
        problems: What could not be read, for a person.
        ends: Ends of point-to-point tunnels that may exist on the host.
        ends_lost: The file of tunnel ends was damaged, so ``ends`` is incomplete.
    """

    assignments: Assignments
    record: Record
    problems: tuple[str, ...] = ()
    ends: tuple[TunnelEnd, ...] = ()
    ends_lost: bool = False


def restore_state(state: StateDir, boot: str) -> RestoredState:
    """Read the state folder; a damaged file is preserved and takes no VIP out of service.

    Args:
        state: The folder.
        boot: Identity of this kernel and network namespace (host.boot).

    Raises:
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk refuses.
    """
    problems = []
    try:
        record = state.record(boot)
    except StoreCorrupt as error:
        record = Record(boot, lost=True)
        state.preserve_damaged(RECORD)
        state.save_record(record)
        problems.append(
            f"{error}; the record of the original configuration is lost: a leave removes VIPs and "
            "devices, but leaves the sysctls as they are"
        )
    try:
        read = state.assignments()
        assignments, refusals = screen_all(read, _location(read))
    except StoreCorrupt as error:
        state.preserve_damaged(ASSIGNMENTS)
        assignments, refusals = Assignments(), ()
        state.save_assignments(assignments)
        problems.append(f"{error}; the agent fetches its assignment from the director again")
    if refusals:
        state.preserve_damaged(ASSIGNMENTS)
        state.save_assignments(assignments)
        problems += [f"{state.path / ASSIGNMENTS}: {fault.detail}" for fault in refusals]
    ends_file = EndsFile(state.path / TUNNEL_ENDS, boot)
    ends: tuple[TunnelEnd, ...] = ()
    ends_lost = False
    try:
        ends_file.delete_lost()
        ends = ends_file.present()
    except StoreCorrupt as error:
        ends_file.reset()
        ends_lost = True
        problems.append(
            f"{error}; tunnels that are no longer assigned stay on this host; remove them with "
            "ip link delete"
        )
    if not assignments.farms:
        assignments = _assignments_from_record(record, ends)
    return RestoredState(assignments, record, tuple(problems), ends, ends_lost)


def _location(assignments: Assignments) -> FaultLocation:
    return FaultLocation(assignments.current.agent if assignments.current else "this host")


def _assignments_from_record(record: Record, ends: tuple[TunnelEnd, ...]) -> Assignments:
    """Return an assignment of everything lvsctl added: nobody has asked to remove it."""
    ours = [key for key, entry in record.found.items() if entry.ours]
    vips = tuple({key.address.ip: None for key in ours if isinstance(key, AddressKey)})
    if not vips and not ends:
        return Assignments()
    links = {key.name for key in ours if isinstance(key, LinkKey)}
    ports = [key.port for key in ours if isinstance(key, FouPortKey)]
    return Assignments(
        (Assignment(UNKNOWN_FARM, "", vips, tunnels_of(links, ports), tunnel_ends=ends),)
    )
