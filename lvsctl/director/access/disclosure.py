"""What of the farm's past somebody may read: of tokens, administrators alone. Pure."""

import re
from collections.abc import Collection, Iterable, Sequence

from lvsctl.director.access.principal import Principal
from lvsctl.farm.access import Role
from lvsctl.farm.objects import Kind, ObjectId

_TOKEN_LINE = re.compile(f"(add|change|remove) {Kind.TOKEN} ")


def may_read_tokens(principal: Principal) -> bool:
    """Tell whether somebody may know which tokens there are."""
    return principal.role is Role.ADMIN


def readable_objects(principal: Principal, objects: Iterable[ObjectId]) -> Collection[ObjectId]:
    """Return the objects of a commit that somebody may read."""
    return [each for each in objects if may_read_tokens(principal) or each.kind is not Kind.TOKEN]


def readable_lines(principal: Principal, lines: Iterable[str]) -> Sequence[str]:
    """Return the lines about changes that somebody may read."""
    return [each for each in lines if may_read_tokens(principal) or not _TOKEN_LINE.match(each)]
