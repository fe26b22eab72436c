"""What can be wrong with one value of a document: the codes of ``errors`` in a refusal."""

from lvsctl.reasons.reason import ReasonKind

_SEE_ALLOWED = "`allowed` says what is accepted there."

MISSING = ReasonKind(
    "missing",
    "it is missing",
    "A required value is not there.",
    _SEE_ALLOWED,
)
UNKNOWN_FIELD = ReasonKind(
    "unknown-field",
    "there is no such field",
    "The document has a field that lvsctl does not know.",
    "Correct its name; `allowed` lists the fields.",
)
UNKNOWN_VALUE = ReasonKind(
    "unknown-value",
    "unknown value {value}",
    "The value is none of those that are known.",
    _SEE_ALLOWED,
)
TOO_LONG = ReasonKind(
    "text-too-long",
    "it is too long",
    "The text has too many characters.",
    _SEE_ALLOWED,
)
WRONG_TYPE = ReasonKind(
    "wrong-type",
    "expected {expected}, got {value}",
    "The value is of another type, such as a text in place of a number.",
    _SEE_ALLOWED,
)
RULE_BROKEN = ReasonKind(
    "rule-broken",
    "{detail}",
    "The value is well-formed, and breaks a rule of its own or together with others.",
    "The detail names the rule and what it clashes with.",
)
