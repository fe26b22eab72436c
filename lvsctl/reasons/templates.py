"""Fills in the templates of reasons. Pure."""

import functools
import re
from collections.abc import Mapping, Sequence

OPTIONAL = re.compile(r"\[\[(.*?)\]\]")
FIELD = re.compile(r"{(\w+)[^{}]*}")


def fill_in(template: str, texts: Mapping[str, str]) -> str:
    """Return a template with texts for its fields.

    Args:
        template: As for :meth:`str.format`. A part in ``[[ ]]`` is left out where the text for one
            of its fields is empty.
        texts: By name of the field.
    """
    return "".join(
        part.format_map(texts)
        for part, is_optional in _parts(template)
        if not is_optional or all(texts[name] for name in FIELD.findall(part))
    )


def field_names(template: str) -> frozenset[str]:
    """Return the names of the fields of a template."""
    return frozenset(FIELD.findall(template))


@functools.cache
def _parts(template: str) -> Sequence[tuple[str, bool]]:
    """Split a template into parts, each with whether it is optional."""
    return [(part, index % 2 == 1) for index, part in enumerate(OPTIONAL.split(template)) if part]
