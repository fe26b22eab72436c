"""Why an HTTP request was refused, whatever it asks for."""

from collections.abc import Mapping

from lvsctl.reasons.reason import ReasonKind

BAD_REQUEST = ReasonKind(
    "bad-request",
    "{error}",
    "The HTTP request itself is invalid.",
    "Correct it; the text says what is wrong.",
)
NO_TOKEN = ReasonKind(
    "no-token",
    "{error}",
    "The request has no token, or one that the director does not know.",
    "Give one: `--token-file` or `LVSCTL_TOKEN`.",
)
TOKEN_EXPIRED = ReasonKind(
    "token-expired",
    "{error}",
    "The token was valid once.",
    "Have an administrator give it a new secret: `lvsctl token rotate NAME`. An agent renews its "
    "own credential by itself.",
)
FORBIDDEN = ReasonKind(
    "forbidden",
    "{error}",
    "The credentials do not allow this.",
    "Use a token with the role that the text names.",
)
FOREIGN_ORIGIN = ReasonKind(
    "foreign-origin",
    "{error}",
    "A browser sent the request for another web site.",
    "Use the director's own address.",
)
FOREIGN_HOST = ReasonKind(
    "foreign-host",
    "{error}",
    "The request names a host that is not this director.",
    "Use its name or address, or start it with the name that you use.",
)
NO_SUCH_ADDRESS = ReasonKind(
    "no-such-address",
    "{error}",
    "There is nothing at the path.",
    "See `/docs` for the paths.",
)
NO_SUCH_METHOD = ReasonKind(
    "no-such-method",
    "{error}",
    "The path does not support the method.",
    "`Allow` lists those that it supports.",
)
TOO_SLOW = ReasonKind(
    "too-slow",
    "{error}",
    "The request did not arrive in time.",
    "Repeat it.",
)
TOO_LONG = ReasonKind(
    "too-long",
    "{error}",
    "The body is larger than accepted.",
    "Write the farm in parts; only `PUT /v1/farm` takes large documents.",
)
WRONG_CONTENT_TYPE = ReasonKind(
    "wrong-content-type",
    "{error}",
    "The body is not of a type that the path takes.",
    "Set `Content-Type`.",
)
HEAD_TOO_LARGE = ReasonKind(
    "head-too-large",
    "{error}",
    "The request's header is too large.",
    "Send fewer or shorter header fields.",
)
NOT_YET = ReasonKind(
    "not-yet",
    "{error}",
    "The director cannot answer this yet.",
    "Repeat it after the time in `Retry-After`, or in a few seconds.",
)
DEFECT = ReasonKind(
    "defect",
    "{error}",
    "A defect in lvsctl. Nothing was changed.",
    "Report it with the journal: `journalctl -u lvsctl-director`.",
)
BAD_HTTP = ReasonKind(
    "http-error",
    "{error}",
    "The web framework refused the request.",
    "The status and the text say why.",
)

REQUEST_REFUSED: Mapping[str, ReasonKind] = {
    kind.code: kind
    for kind in (
        BAD_REQUEST,
        NO_TOKEN,
        TOKEN_EXPIRED,
        FORBIDDEN,
        FOREIGN_ORIGIN,
        FOREIGN_HOST,
        NO_SUCH_ADDRESS,
        NO_SUCH_METHOD,
        TOO_SLOW,
        TOO_LONG,
        WRONG_CONTENT_TYPE,
        HEAD_TOO_LARGE,
        NOT_YET,
        DEFECT,
    )
}
"""By code, which is that of the problem type."""
