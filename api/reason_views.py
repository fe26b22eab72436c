"""Reasons as documents. Pure."""

from collections.abc import Sequence

from api.schemas.reasons import Explained, ReasonItem
from lvsctl.reasons.documents import reason_document
from lvsctl.reasons.reason import Reason, code_of, in_words


def explained(reasons: Sequence[Reason]) -> Explained:
    """Return what is to be said of one thing, in words and in parts."""
    return {
        "reason": in_words(reasons),
        "code": code_of(reasons),
        "reasons": [reason_item(reason) for reason in reasons],
    }


def because(reason: Reason | None) -> Explained:
    """Return the same for a single reason, or none."""
    return explained((reason,) if reason else ())


def reason_item(reason: Reason) -> ReasonItem:
    """Return a reason in parts."""
    parts = reason_document(reason)
    return {
        "code": parts["code"],
        "subject": parts["subject"],
        "parameters": parts["parameters"],
        "text": str(reason),
    }
