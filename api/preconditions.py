"""If-Match and If-None-Match (RFC 9110, section 13): writes that lose when somebody was faster."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header

from api.problems import BAD_REQUEST, RequestRefused
from lvsctl.errors import StaleRevision

ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
DOCUMENTED = {"pattern": r'^(\*|"[0-9a-f]+"(, "[0-9a-f]+")*)$'}
"""Entity tags as lvsctl makes them, for the documentation."""
TAGS = re.compile(rf"{ETAG.pattern}(?:[ \t]*,[ \t]*{ETAG.pattern})*")


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What a client wants to be true of an object before it is written.

    Attributes:
        match: Entity tags of which the object must have one; ``*`` for any; None for no matter.
        none_match: Entity tags of which the object must have none; ``*``: it must not stand.
    """

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    def check(self, what: str, present: str | None) -> None:
        """Refuse where they do not hold.

        Args:
            what: The object, for a person.
            present: Its entity tag; None where it does not stand.

        Raises:
            StaleRevision: They do not hold.
        """
        if self.match is not None and not _held(self.match, present):
            now = f"is at {present} now" if present else "does not stand"
            asked = ", ".join(sorted(self.match))
            raise StaleRevision(f"{what} {now}, If-Match asks for {asked}; read it again")
        if self.none_match is not None and _held(self.none_match, present):
            raise StaleRevision(f"{what} stands already, at {present}; If-None-Match refuses it")


def _held(tags: frozenset[str], present: str | None) -> bool:
    return present is not None and ("*" in tags or present in tags)


async def preconditions(
    if_match: Annotated[
        str | None,
        Header(
            description='The object must be as it was read: its ETag, or "*".',
            json_schema_extra=DOCUMENTED,
        ),
    ] = None,
    if_none_match: Annotated[
        str | None,
        Header(
            description="* creates: the object must not stand yet.", json_schema_extra=DOCUMENTED
        ),
    ] = None,
) -> Preconditions:
    """Read the two headers."""
    return Preconditions(_tags("If-Match", if_match), _tags("If-None-Match", if_none_match))


def _tags(header: str, text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    text = text.strip()
    if text == "*":
        return frozenset("*")
    if not TAGS.fullmatch(text):
        raise RequestRefused(
            BAD_REQUEST, f'{header} is no list of entity tags like "17"; nor is it *'
        )
    return frozenset(ETAG.findall(text))


def known_tags(conditions: Preconditions) -> frozenset[str]:
    """Return the entity tags of a GET's If-None-Match; a proxy may have made them weak."""
    return frozenset(tag.removeprefix("W/") for tag in conditions.none_match or ())


Conditions = Annotated[Preconditions, Depends(preconditions)]
