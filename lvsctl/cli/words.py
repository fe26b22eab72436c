"""The director's reasons in words for whoever typed a command."""

from collections.abc import Mapping
from typing import Any

from lvsctl.reasons.catalogue import KINDS
from lvsctl.reasons.documents import read_reason
from lvsctl.reasons.reason import Audience


def words_of(document: Mapping[str, Any], text: str) -> str:
    """Return the words for a reason at the command line.

    Args:
        document: With its code, subject and parameters; those of an older director are missing.
        text: The director's own words, for where the command line has no others.
    """
    kind = KINDS.get(document.get("code", ""))
    if kind is None or not kind.at_terminal:
        return text
    try:
        return read_reason(document).words(Audience.COMMAND_LINE)
    except (ValueError, KeyError):
        return text
