"""Edits that depend on what stands when they are made: conditional ones and patches."""

from collections.abc import Callable

from api.preconditions import Preconditions
from api.resources import Resource
from lvsctl.director.state import State
from lvsctl.director.write.edits import Edit
from lvsctl.errors import Problem
from lvsctl.farm.objects import Changes, ObjectId


class ResourceEdit(Edit):
    """An edit of one resource, decided from the very state that it is applied to.

    So nobody can write in between the check of a precondition, or the reading of what a patch
    starts from, and the commit.

    Args:
        resource: What is written.
        preconditions: What must be true of it.
        decide: Makes the edit from the present state.
    """

    def __init__(
        self, resource: Resource, preconditions: Preconditions, decide: Callable[[State], Edit]
    ) -> None:
        self._resource = resource
        self._preconditions = preconditions
        self._decide = decide
        self.creates = False

    def changes(self, state: State) -> Changes:
        """Check the preconditions, then decide."""
        present = self._resource.etag(state)
        self._preconditions.check(str(self._resource), present)
        self.creates = present is None
        self._decided = self._decide(state)
        return self._decided.changes(state)

    def locate(self, broken: ObjectId, problem: Problem) -> Problem:
        """Point as the edit does."""
        return self._decided.locate(broken, problem)

    def guard(self, before: State, after: State) -> None:
        """Refuse what the edit refuses."""
        self._decided.guard(before, after)
