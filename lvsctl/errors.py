"""Every error that lvsctl raises on purpose, in one tree.

::

    LvsctlError
    ├── InvalidInput            what was asked for breaks a rule; carries every Problem
    ├── NotFound                the named object does not exist
    ├── Conflict                the request is right, the present state forbids it
    │   ├── StaleRevision       compare-and-set lost: somebody wrote in between
    │   └── DrasticChange       it would remove most of the farm; carries the plan
    ├── BoundaryError           something outside this process failed
    │   ├── KernelError         the kernel refused a whole request (not one operation of it)
    │   │   ├── KernelLacks     it has not what is needed: a module, a privilege
    │   │   └── MalformedMessage  what it answered is not understood
    │   ├── StaleBase           the store moved on while a change was judged
    │   ├── StoreError          the disk or its database failed
    │   │   ├── StoreBehind     the store lost commits that it had acknowledged
    │   │   ├── StoreNotAccepted  its contents do not follow what was applied last
    │   │   ├── StoreInUse      another process holds the file
    │   │   ├── StoreCorrupt    the file is damaged
    │   │   ├── StoreTooNew     the file was written by a newer lvsctl
    │   │   └── OutcomeUnknown  whether a commit was stored cannot be told
    │   └── DirectorUnreachable the director did not answer
    └── ConfigurationError      a flag, an environment variable or a file of ours is wrong

A message names the thing, the cause and the cure. One operation that the kernel refuses is a
:class:`lvsctl.results.Failed`, not an exception: the others go on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

MAX_PROBLEMS = 100
"""So many are listed of what is wrong with one document. Nobody mends more at once, and a document
of a few megabytes can have millions."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input.

    Attributes:
        pointer: JSON pointer (RFC 6901) to the offending value, ``""`` for the whole document.
        detail: What is wrong, for a person.
        allowed: What would be right, for a person; empty where ``detail`` says it all.
    """

    pointer: str
    detail: str
    allowed: str = ""

    def below(self, prefix: str) -> "Problem":
        """Return the same problem seen from a document that holds this one at ``prefix``."""
        return Problem(prefix + self.pointer, self.detail, self.allowed)

    def __str__(self) -> str:
        where = self.pointer or "the document"
        return f"{where}: {self.detail}" + (f" (allowed: {self.allowed})" if self.allowed else "")


def first_problems(problems: Iterable[Problem]) -> Sequence[Problem]:
    """Return the problems that are listed, and one more if there are more."""
    return tuple(islice(problems, MAX_PROBLEMS + 1))


class LvsctlError(Exception):
    """Anything that lvsctl raises on purpose."""


class InvalidInput(LvsctlError):
    """What was asked for breaks rules; nothing was stored."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


class NotFound(LvsctlError):
    """The named object does not exist."""


class Conflict(LvsctlError):
    """The request is well formed, but the present state forbids it."""


class StaleRevision(Conflict):
    """The object is no longer at the revision that the writer had seen."""


class DrasticChange(Conflict):
    """The change would take most of the farm away and was not forced."""

    def __init__(self, message: str, plan: Sequence[str]) -> None:
        super().__init__(message)
        self.plan = tuple(plan)


class BoundaryError(LvsctlError):
    """Something outside this process failed."""


class KernelError(BoundaryError):
    """The kernel refused a whole request."""


class KernelLacks(KernelError):
    """The kernel has not what is needed: a module, a privilege."""


class MalformedMessage(KernelError):
    """What the kernel answered breaks the rules of its own protocol."""


class StaleBase(BoundaryError):
    """The store is not where it was when a change was judged; nothing was stored."""


class StoreError(BoundaryError):
    """The disk, or the database on it, failed; nothing was stored."""


class StoreNotAccepted(StoreError):
    """The store's contents do not follow what was applied last; a person must decide."""


class StoreInUse(StoreError):
    """Another process holds the database file."""


class StoreBehind(StoreError):
    """The store no longer holds commits that it had acknowledged, and takes no new ones."""


class StoreCorrupt(StoreError):
    """The database file is damaged."""


class StoreTooNew(StoreError):
    """The database file was written by a newer lvsctl."""


class OutcomeUnknown(StoreError):
    """The disk failed during a commit and after it: it may be stored or not."""


class DirectorUnreachable(BoundaryError):
    """No director answered."""


class ConfigurationError(LvsctlError):
    """A flag, an environment variable or a configuration file is wrong."""
