"""Reasons that belong to no subject."""

from lvsctl.reasons.reason import ReasonKind

RECORDED = ReasonKind(
    "recorded",
    "{text}",
    "An older lvsctl kept this reason as text, or an older agent sent it so.",
    "None needed: the next change of state brings a code.",
)
INTERNAL_ERROR = ReasonKind(
    "internal-error",
    "internal error: {error}; the journal has the details",
    "A defect in lvsctl. What serves goes on serving.",
    "Report it with the journal: `journalctl -u lvsctl-director`.",
)
