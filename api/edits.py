"""Edits that depend on the present state: conditional writes and patches."""

from collections.abc import Callable

from api.preconditions import Preconditions
from api.resources import Resource
from lvsctl.director.state import State
from lvsctl.director.write.edits import Edit
from lvsctl.errors import Problem
from lvsctl.farm.objects import Changes, ObjectId


class ResourceEdit(Edit):
    """An edit of one resource that is computed from the state that it is applied to.

    So no other write can come between checking a precondition, or reading the document that is
    patched, and the commit.

    Args:
        resource: The resource.
        preconditions: Preconditions of the write.
        decide: Returns the edit for a state.
    """

    def __init__(
        self, resource: Resource, preconditions: Preconditions, decide: Callable[[State], Edit]
    ) -> None:
        self._resource = resource
        self._preconditions = preconditions
        self._decide = decide
        self.creates = False

    def changes(self, state: State) -> Changes:
        """Check the preconditions, then return the changes of the edit."""
        present = self._resource.etag(state)
        self._preconditions.check(str(self._resource), present)
        self.creates = present is None
        self._decided = self._decide(state)
        return self._decided.changes(state)

    def locate(self, broken: ObjectId, problem: Problem) -> Problem:
        """Locate the problem as the edit does."""
        return self._decided.locate(broken, problem)

    def guard(self, before: State, after: State) -> None:
        """Refuse what the edit refuses."""
        self._decided.guard(before, after)
