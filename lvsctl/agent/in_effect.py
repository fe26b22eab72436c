"""The assignments in effect on this host: restored, replaced by a director, saved."""

import structlog

from lvsctl.agent.faults import Fault, FaultLocation, refused_fault, state_fault
from lvsctl.agent.policy import check_identity, screen
from lvsctl.agent.restored_state import RestoredState
from lvsctl.agent.state_dir import StateDir
from lvsctl.client.answer import brief
from lvsctl.errors import InvalidInput, StoreError
from lvsctl.messages.model import Assignment

_log = structlog.get_logger()


class AssignmentsInEffect:
    """What this host serves, and what of it could not be restored, accepted or saved.

    Args:
        name: The agent's.
        state: The state folder, used by :meth:`save` only.
        restored: What the state folder held at the start.
    """

    def __init__(self, name: str, state: StateDir, restored: RestoredState) -> None:
        self.assignments = restored.assignments
        self._name = name
        self._state = state
        self._saved = restored.assignments
        self._location = FaultLocation(name)
        self._restore_faults = [state_fault(reason, self._location) for reason in restored.problems]
        self._save_faults: tuple[Fault, ...] = ()
        self._refusals: tuple[Fault, ...] = ()

    @property
    def faults(self) -> list[Fault]:
        """What could not be restored, saved or accepted."""
        return [*self._restore_faults, *self._save_faults, *self._refusals]

    def accept(self, new: Assignment) -> bool:
        """Put a director's assignment into effect; return whether the host must be checked.

        Raises:
            InvalidInput: It is not for this agent; nothing changes.
        """
        current = self.assignments
        check_identity(new, self._name, current)
        if current.farm_id and new.farm_id != current.farm_id:
            _log.warning("farm changed", was=current.farm_id, now=new.farm_id)
        if current.is_behind(new):
            position = (new.epoch, new.revision)
            _log.warning("ignored an older assignment", epoch_and_revision=position)
        others = [farm for farm in current.farms if farm.farm_id != new.farm_id]
        screened = screen(new, others, self._location)
        refusals_changed = self._record_refusals(tuple(screened.refusals))
        after = current.after(screened.assignment)
        if after == current:
            return refusals_changed
        _log.info("assigned", vips=[str(vip) for vip in screened.assignment.vips])
        self.assignments = after
        return True

    def refuse(self, url: str, error: InvalidInput) -> bool:
        """Record that a director's whole answer was refused; return whether that is new."""
        return self._record_refusals((refused_fault(url, brief(str(error)), self._location),))

    def save(self) -> None:
        """Save the assignments if they changed; called in the thread of the disk."""
        assignments = self.assignments
        if self._saved is assignments:
            return
        try:
            self._state.save_assignments(assignments)
        except StoreError as error:
            reason = f"{error}; after a restart the agent would not know what to serve"
            self._save_faults = (state_fault(reason, self._location),)
            return
        self._saved = assignments
        self._save_faults = ()

    def _record_refusals(self, refusals: tuple[Fault, ...]) -> bool:
        """Record which parts of the last assignment are not carried out; return whether new."""
        if refusals == self._refusals:
            return False
        for fault in refusals:
            _log.warning("refused", subject=fault.subject, detail=fault.detail)
        self._refusals = refusals
        return True
