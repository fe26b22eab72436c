"""Writes docs/reasons.md from the catalogue of reasons: ``python -m deploy.reasons``."""

from pathlib import Path

from lvsctl.reasons.catalogue import SUBJECTS, kinds_of
from lvsctl.reasons.reason import Audience, Reason, ReasonKind
from lvsctl.reasons.templates import field_names

DOCUMENT = Path(__file__).parents[1] / "docs" / "reasons.md"

_INTRODUCTION = """\
# Reasons

Whatever is not as declared has a reason: in words for people, and as a `code` for programs. In
REST, `code` stands beside `reason`, `detail` or `error`, and `reasons` has the parts where several
apply, the decisive one first; events and `lvsctl -o json` have them too. A code keeps its name,
words may change. Here, words in capitals stand for what the reason names; a reason that is part of
another is among its parameters.

Made by `python -m deploy.reasons`.
"""


def example(kind: ReasonKind) -> Reason:
    """Return a reason of a kind whose parameters are their own names."""
    names = {*field_names(kind.template), *field_names(kind.at_terminal)} - {"subject"}
    return kind("SUBJECT", **{name: name.upper() for name in sorted(names)})


def document() -> str:
    """Return the documentation of all reasons."""
    parts = [_INTRODUCTION]
    for module in SUBJECTS:
        parts.append(f"## {(module.__doc__ or '').splitlines()[0].rstrip('.')}\n")
        parts += map(_entry, kinds_of(module).values())
    return "\n".join(parts)


def _entry(kind: ReasonKind) -> str:
    lines = [f"### `{kind.code}`", "", f"> {example(kind)}", ""]
    if kind.at_terminal:
        words = example(kind).words(Audience.COMMAND_LINE)
        lines += ["At the command line:", "", f"> {words}", ""]
    return "\n".join([*lines, kind.meaning, "", f"**Cure.** {kind.cure}", ""])


if __name__ == "__main__":
    DOCUMENT.write_text(document())
