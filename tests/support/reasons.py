"""Reasons for tests: any reason at all, and what was given as reason."""

from collections.abc import Iterable

from lvsctl.reasons.general import RECORDED
from lvsctl.reasons.reason import Reason


def because(text: str) -> Reason:
    """Return some reason; which one does not matter."""
    return RECORDED(text=text)


def codes(reasons: Iterable[Reason]) -> list[str]:
    """Return the codes of reasons, in order."""
    return [reason.code for reason in reasons]
