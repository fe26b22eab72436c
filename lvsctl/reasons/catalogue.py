"""Every reason, by its code."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from lvsctl.reasons import (
    director,
    errors,
    general,
    hosts,
    inputs,
    probes,
    requests,
    servers,
    services,
)
from lvsctl.reasons.reason import ReasonKind

SUBJECTS: tuple[ModuleType, ...] = (
    services,
    servers,
    probes,
    hosts,
    director,
    errors,
    inputs,
    requests,
    general,
)
"""The modules that define reasons, in the order of the documentation."""


def kinds_of(module: ModuleType) -> Mapping[str, ReasonKind]:
    """Return the reasons that a module defines, by the name that the code uses."""
    return {name: kind for name, kind in vars(module).items() if isinstance(kind, ReasonKind)}


KINDS: Mapping[str, ReasonKind] = MappingProxyType(
    {kind.code: kind for module in SUBJECTS for kind in kinds_of(module).values()}
)
"""By code."""
