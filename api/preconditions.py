"""If-Match and If-None-Match (RFC 9110, section 13): optimistic locking of writes."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header

from api.problems import BAD_REQUEST, RequestRefused
from lvsctl.errors import StaleRevision

ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
DOCUMENTED = {"pattern": r'^(\*|"[0-9a-f]+"(, "[0-9a-f]+")*)$'}
"""Entity tags in lvsctl's format, for the documentation."""
TAGS = re.compile(rf"{ETAG.pattern}(?:[ \t]*,[ \t]*{ETAG.pattern})*")


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The preconditions of a write.

    Attributes:
        match: Entity tags, one of which the object must have; ``*`` for any; None for no condition.
        none_match: Entity tags that the object must not have; ``*``: it must not exist.
    """

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    def check(self, what: str, present: str | None) -> None:
        """Check the preconditions.

        Args:
            what: Name of the object, for messages.
            present: Its entity tag; None if it does not exist.

        Raises:
            StaleRevision: They do not hold.
        """
        if self.match is not None and not _matches(self.match, present):
            now = f"is at {present} now" if present else "does not exist"
            expected = ", ".join(sorted(self.match))
            raise StaleRevision(f"{what} {now}, If-Match expects {expected}; read it again")
        if self.none_match is not None and _matches(self.none_match, present):
            raise StaleRevision(
                f"{what} already exists, at {present}; If-None-Match does not match"
            )


def _matches(tags: frozenset[str], present: str | None) -> bool:
    return present is not None and ("*" in tags or present in tags)


async def preconditions(
    if_match: Annotated[
        str | None,
        Header(
            description='ETag that the object must still have, or "*" for any.',
            json_schema_extra=DOCUMENTED,
        ),
    ] = None,
    if_none_match: Annotated[
        str | None,
        Header(description="With *, the object must not exist yet.", json_schema_extra=DOCUMENTED),
    ] = None,
) -> Preconditions:
    """Parse the two headers."""
    return Preconditions(_tags("If-Match", if_match), _tags("If-None-Match", if_none_match))


def _tags(header: str, text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    text = text.strip()
    if text == "*":
        return frozenset("*")
    if not TAGS.fullmatch(text):
        raise RequestRefused(
            BAD_REQUEST, f'{header} is neither a list of entity tags like "17" nor *'
        )
    return frozenset(ETAG.findall(text))


def known_tags(conditions: Preconditions) -> frozenset[str]:
    """Return the entity tags in a GET's If-None-Match, which a proxy may have made weak."""
    return frozenset(tag.removeprefix("W/") for tag in conditions.none_match or ())


Conditions = Annotated[Preconditions, Depends(preconditions)]
