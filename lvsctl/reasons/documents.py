"""Reasons as JSON values and back. Pure."""

from collections.abc import Mapping
from typing import Any

from lvsctl.reasons.catalogue import KINDS
from lvsctl.reasons.general import RECORDED
from lvsctl.reasons.reason import Parameter, Reason, ReasonKind


def reason_document(reason: Reason) -> dict[str, Any]:
    """Return a reason as JSON values."""
    return {
        "code": reason.code,
        "subject": reason.subject,
        "parameters": {name: _plain(value) for name, value in reason.parameters},
    }


def read_reason(document: object) -> Reason:
    """Read a reason; one that was kept as text is a reason with that text.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(document, str):
        return RECORDED(text=document)
    match document:
        case {"code": str(code), "subject": str(subject), "parameters": Mapping() as parameters}:
            values = tuple((str(name), _parameter(value)) for name, value in parameters.items())
            return Reason(KINDS.get(code) or _newer(code, values), subject, values)
        case _:
            raise ValueError(f"{document!r:.40} is not a reason")


def _newer(code: str, values: tuple[tuple[str, Parameter], ...]) -> ReasonKind:
    """Return the kind for a code that a newer lvsctl has: its words are its parts."""
    parts = "".join(f", {name} {{{name}}}" for name, _ in values if name.isidentifier())
    return ReasonKind(code, f"{code.replace('-', ' ')}[[ ({{subject}})]]{parts}", "", "")


def _plain(value: Parameter) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Reason):
        return reason_document(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def _parameter(value: object) -> Parameter:
    if isinstance(value, Mapping):
        return read_reason(value)
    if isinstance(value, list):
        return tuple(map(_parameter, value))
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"{value!r:.40} is not a parameter of a reason")
