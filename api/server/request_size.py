"""Measures the size of a request without its body, while it is parsed."""

from api.problems import HEAD_TOO_LARGE, RequestRefused
from api.server.limits import MAX_FIELDS, MAX_FRAMING_FACTOR, MAX_HEAD_BYTES

FIELD_OVERHEAD = len(": \r\n")


class RequestSize:
    """Measures the requests of a connection one after the other; refuses those that are too large.

    The parser reports the target, a field or a part of the body once it is complete. Unfinished
    elements, and chunk extensions, which are never reported, are counted as the bytes since the
    last report.
    """

    def __init__(self) -> None:
        self._fields = 0
        self._head_bytes = 0
        self._body_bytes = 0
        self._fed_bytes = 0
        self._unreported_bytes = 0
        self._begun = self._reported = False

    def begin(self) -> None:
        """Start a request."""
        self._fields = self._head_bytes = self._body_bytes = 0
        self._begun = self._reported = True

    def target(self, target: bytes) -> None:
        """Count the request target."""
        self._reported = True
        self._add_to_head(len(target))

    def field(self, name: bytes, value: bytes) -> None:
        """Count a header or trailer field."""
        self._reported = True
        self._fields += 1
        if self._fields > MAX_FIELDS:
            detail = f"the request has too many header fields; send up to {MAX_FIELDS}"
            raise RequestRefused(HEAD_TOO_LARGE, detail)
        self._add_to_head(len(name) + len(value) + FIELD_OVERHEAD)

    def body(self, part: bytes) -> None:
        """Count a part of the body."""
        self._reported = True
        self._body_bytes += len(part)

    def fed(self, data: bytes | memoryview) -> None:
        """Count data fed to the parser, after it has reported the elements completed by it."""
        self._unreported_bytes = 0 if self._reported else self._unreported_bytes + len(data)
        # The data may begin with the end of the previous request.
        self._fed_bytes = 0 if self._begun else self._fed_bytes + len(data)
        self._begun = self._reported = False
        allowed_bytes = MAX_HEAD_BYTES + (1 + MAX_FRAMING_FACTOR) * self._body_bytes
        if self._unreported_bytes > MAX_HEAD_BYTES or self._fed_bytes > allowed_bytes:
            raise _too_large()

    def _add_to_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _too_large()


def _too_large() -> RequestRefused:
    return RequestRefused(
        HEAD_TOO_LARGE,
        "the request is too large, not counting its body; send a target, header fields, chunk "
        f"extensions and trailer fields of up to {MAX_HEAD_BYTES} bytes in all",
    )
