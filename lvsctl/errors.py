"""Every error that lvsctl raises on purpose, in one tree.

::

    LvsctlError
    ├── InvalidInput            the input breaks rules; carries every Problem
    ├── NotFound                the named object does not exist
    ├── Conflict                the request is valid, but the current state forbids it
    │   ├── StaleRevision       compare-and-set failed: another write came first
    │   └── DrasticChange       it would remove most of the farm; carries the plan
    ├── TooManyRequests         somebody asks for changes too often; carries when to ask again
    ├── BoundaryError           something outside this process failed
    │   ├── KernelError         the kernel refused a whole request, not just one operation
    │   │   ├── KernelLacks     a kernel module or a privilege is missing
    │   │   └── MalformedMessage  the kernel's answer could not be parsed
    │   ├── StaleBase           the store moved on while a change was validated
    │   ├── StoreError          the disk or its database failed
    │   │   ├── StoreBehind     the store lost commits that it had acknowledged
    │   │   ├── StoreNotAccepted  its contents do not continue the farm applied last
    │   │   ├── StoreInUse      another process holds the file
    │   │   ├── StoreCorrupt    the file is damaged
    │   │   ├── StoreUnavailable  etcd does not answer
    │   │   ├── StoreRefused    etcd refuses a request
    │   │   ├── StoreTooNew     the file was written by a newer lvsctl
    │   │   └── OutcomeUnknown  it is unknown whether a commit was stored
    │   └── DirectorUnreachable the director did not answer
    └── ConfigurationError      a flag, environment variable or configuration file is wrong

A message names the thing, the cause and the cure; it may be a :class:`Reason`, else the class has
the code. One operation that the kernel refuses is a
:class:`lvsctl.results.Failed`, not an exception: the others go on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar

from lvsctl.reasons import errors as reasons
from lvsctl.reasons import inputs
from lvsctl.reasons.reason import Reason, ReasonKind

MAX_PROBLEMS = 100
"""Problems listed for one document; a document of a few megabytes can have millions."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input.

    Attributes:
        pointer: JSON pointer (RFC 6901) to the offending value, ``""`` for the whole document.
        detail: What is wrong, for a person.
        allowed: What is allowed instead, for a person; empty if ``detail`` says it all.
        code: What kind of thing is wrong, for programs; see :mod:`lvsctl.reasons.inputs`.
    """

    pointer: str
    detail: str
    allowed: str = ""
    code: str = inputs.RULE_BROKEN.code

    def below(self, prefix: str) -> "Problem":
        """Return the same problem relative to an enclosing document."""
        return replace(self, pointer=prefix + self.pointer)

    def __str__(self) -> str:
        where = self.pointer or "the document"
        is_said = not self.allowed or self.allowed in self.detail
        return f"{where}: {self.detail}" + ("" if is_said else f" (allowed: {self.allowed})")


def first_problems(problems: Iterable[Problem]) -> Sequence[Problem]:
    """Return the problems to list, plus one if there are more."""
    return tuple(islice(problems, MAX_PROBLEMS + 1))


class LvsctlError(Exception):
    """Base of all errors that lvsctl raises on purpose."""

    kind: ClassVar[ReasonKind] = reasons.FAILED

    @property
    def reason(self) -> Reason:
        """Why, as a value: what it was raised with, or else one with the code of its class."""
        (said,) = self.args[:1] or ("",)
        return said if isinstance(said, Reason) else self.kind(error=said)


class InvalidInput(LvsctlError):
    """The input breaks rules; nothing was stored."""

    kind = reasons.INVALID_INPUT

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


class NotFound(LvsctlError):
    """The named object does not exist."""

    kind = reasons.NOT_FOUND


class Conflict(LvsctlError):
    """The request is valid, but the current state forbids it."""

    kind = reasons.CONFLICTING


class StaleRevision(Conflict):
    """The object is no longer at the revision that the writer expected."""

    kind = reasons.STALE_REVISION


class TooManyRequests(LvsctlError):
    """Somebody asks for changes too often.

    Attributes:
        retry_after_s: Seconds after which it is worth to ask again.
    """

    kind = reasons.TOO_MANY_REQUESTS

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DrasticChange(Conflict):
    """The change would remove most of the farm and was not forced."""

    kind = reasons.DRASTIC_CHANGE

    def __init__(self, message: str, plan: Sequence[str]) -> None:
        super().__init__(message)
        self.plan = tuple(plan)


class BoundaryError(LvsctlError):
    """Something outside this process failed."""

    kind = reasons.OUTSIDE_FAILED


class KernelError(BoundaryError):
    """The kernel refused a whole request."""

    kind = reasons.KERNEL_REFUSED


class KernelLacks(KernelError):
    """A kernel module or a privilege is missing."""

    kind = reasons.KERNEL_LACKS


class MalformedMessage(KernelError):
    """The kernel's answer could not be parsed."""

    kind = reasons.KERNEL_NOT_UNDERSTOOD


class StaleBase(BoundaryError):
    """The store moved on while a change was validated; nothing was stored."""

    kind = reasons.STORE_BUSY


class StoreError(BoundaryError):
    """The disk or the database failed; nothing was stored."""

    kind = reasons.STORE_FAILED


class StoreNotAccepted(StoreError):
    """The store's contents do not continue the farm applied last; a person must decide."""

    kind = reasons.STORE_NOT_CONTINUED


class StoreInUse(StoreError):
    """Another process holds the database file."""

    kind = reasons.STORE_IN_USE


class StoreBehind(StoreError):
    """The store lost commits that it had acknowledged, and accepts no new ones."""

    kind = reasons.STORE_BEHIND


class StoreCorrupt(StoreError):
    """The database file is damaged."""

    kind = reasons.STORE_CORRUPT


class StoreUnavailable(StoreError):
    """Not enough members of the etcd that holds the farm answer.

    Attributes:
        was_sent: Whether the request may have reached a member, which may yet carry it out.
    """

    def __init__(self, message: str, *, was_sent: bool = True) -> None:
        super().__init__(message)
        self.was_sent = was_sent

    kind = reasons.STORE_UNAVAILABLE


class StoreRefused(StoreError):
    """The etcd that holds the farm refuses a request."""

    kind = reasons.STORE_REFUSED


class StoreTooNew(StoreError):
    """The database file was written by a newer lvsctl."""

    kind = reasons.STORE_TOO_NEW


class OutcomeUnknown(StoreError):
    """The disk failed during a commit and while checking it: it may be stored or not."""

    kind = reasons.OUTCOME_UNKNOWN


class DirectorUnreachable(BoundaryError):
    """No director answered."""

    kind = reasons.DIRECTOR_UNREACHABLE


class ConfigurationError(LvsctlError):
    """A flag, an environment variable or a configuration file is wrong."""

    kind = reasons.WRONG_CONFIGURATION
