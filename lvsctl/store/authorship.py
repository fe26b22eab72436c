"""Who made a commit, from where, and what changed from what to what. Pure.

A store keeps it as one text: the name alone, as earlier versions wrote it, or the name, the source
and the changes, a line each. So every store has it, and reads it without the documents.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Authorship:
    """The author of a commit.

    Attributes:
        name: Of whoever made it; a token's, an account's, or of a part of lvsctl.
        source: Address that the request came from; empty if there was none.
        changed: In words, a line each.
    """

    name: str
    source: str = ""
    changed: tuple[str, ...] = ()

    def encode(self) -> str:
        """Write it as a store keeps it."""
        lines = (self.name, self.source, *self.changed)
        return "\n".join(map(_one_line, lines)).rstrip("\n")


def read_authorship(text: str) -> Authorship:
    """Read what a store has kept."""
    name, *rest = text.split("\n")
    return Authorship(name, rest[0] if rest else "", tuple(rest[1:]))


def _one_line(text: str) -> str:
    return text.replace("\n", " ")
