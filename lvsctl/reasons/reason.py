"""A reason that a person sees: a stable code, what it is about, and parameters. Pure."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from lvsctl.reasons.templates import fill_in

Parameter: TypeAlias = Union[str, int, float, bool, "Reason", tuple["Parameter", ...], None]
"""What a parameter can be; JSON has all of it."""


class Audience(enum.StrEnum):
    """Who reads the words."""

    REST = "rest"
    """Programs and people who speak HTTP, readers of the journal and of events."""
    COMMAND_LINE = "command-line"
    """People who typed a command: what they can do is a flag of it, not a parameter of REST."""


@dataclass(frozen=True, slots=True)
class ReasonKind:
    """All reasons with one code; calling it makes one.

    A template is as of :func:`lvsctl.reasons.templates.fill_in`; its fields are ``subject`` and
    the parameters of the reason. A list is joined by commas, one of
    reasons by semicolons.

    Attributes:
        code: Stable, for programs.
        template: The words for REST, the journal and the history of events.
        meaning: What it means, for the documentation.
        cure: What a person can do, for the documentation.
        at_terminal: The words at the command line, where they differ.
    """

    code: str
    template: str = field(repr=False)
    meaning: str = field(repr=False)
    cure: str = field(repr=False)
    at_terminal: str = field(default="", repr=False)

    def __call__(self, subject: object = "", /, **parameters: object) -> "Reason":
        """Return a reason; what JSON cannot hold is put down as text."""
        return Reason(
            self,
            str(subject),
            tuple((name, _parameter(value)) for name, value in parameters.items()),
        )


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is as it is.

    Attributes:
        kind: What all reasons with its code share.
        subject: What it is about: a server, an agent, a VIP, a device; may be empty.
        parameters: By name, in the order in which they were given. One may be a reason itself.
    """

    kind: ReasonKind
    subject: str = ""
    parameters: tuple[tuple[str, Parameter], ...] = ()

    @property
    def code(self) -> str:
        """Stable, for programs."""
        return self.kind.code

    @property
    def values(self) -> Mapping[str, Parameter]:
        """The parameters by name."""
        return dict(self.parameters)

    def words(self, audience: Audience = Audience.REST) -> str:
        """Put it into words."""
        template = self.kind.template
        if audience is Audience.COMMAND_LINE and self.kind.at_terminal:
            template = self.kind.at_terminal
        texts = {name: _text(value, audience) for name, value in self.parameters}
        return fill_in(template, {"subject": self.subject, **texts})

    def __str__(self) -> str:
        return self.words()


Reasons: TypeAlias = tuple[Reason, ...]
"""All that is to be said of one thing, the decisive reason first; empty if all is as declared."""


def in_words(reasons: Iterable[Reason], audience: Audience = Audience.REST) -> str:
    """Return the words for several reasons; empty for none."""
    return "; ".join(reason.words(audience) for reason in reasons)


def code_of(reasons: Sequence[Reason]) -> str:
    """Return the code of the decisive reason; empty if there is none."""
    return reasons[0].code if reasons else ""


def _parameter(value: object) -> Parameter:
    if value is None or isinstance(value, Reason):
        return value
    if type(value) in (str, int, float, bool):
        return value  # type: ignore[return-value] # one of these
    if isinstance(value, tuple | list):
        return tuple(map(_parameter, value))
    return str(value)


def _text(value: Parameter, audience: Audience) -> str:
    match value:
        case None | False:
            return ""
        case Reason():
            return value.words(audience)
        case tuple():
            separator = "; " if any(isinstance(each, Reason) for each in value) else ", "
            return separator.join(_text(each, audience) for each in value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)
