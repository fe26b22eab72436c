"""Finds the line in sysctl.d files that sets a kernel parameter (sysctl.d(5)). Pure."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence

from lvsctl.doctor.facts import SysctlSetting
from lvsctl.host.interface import SysctlKey


def parse_settings(file: str, text: str) -> Sequence[SysctlSetting]:
    """Parse one file; anything that is not a setting is ignored."""
    settings = []
    for raw in text.splitlines():
        line = raw.strip()
        name, equals, value = line.partition("=")
        if not line or line[0] in "#;" or not (equals or line.startswith("-")):
            continue
        exception = not equals
        settings.append(
            SysctlSetting(
                file, _parts(name.strip().lstrip("-")), None if exception else value.strip()
            )
        )
    return settings


def set_by(key: SysctlKey, settings: Iterable[SysctlSetting]) -> SysctlSetting | None:
    """Return the line that determines a parameter's value, None if there is none.

    A line with its exact name overrides all globs; an exclusion exempts it from all globs.
    """
    matching = [setting for setting in settings if _matches(setting.pattern, key.path)]
    named = [setting for setting in matching if setting.pattern == key.path]
    by_value = [setting for setting in named if setting.value is not None]
    if by_value:
        return by_value[-1]
    return None if named or not matching else matching[-1]


def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(pattern) == len(path) and all(map(fnmatch.fnmatchcase, path, pattern))


_SWAPPED: Mapping[int, int] = {ord("."): ord("/"), ord("/"): ord(".")}


def _parts(name: str) -> tuple[str, ...]:
    # sysctl.d(5): the first separator in the name decides; the other one is then literal.
    slash, dot = name.find("/"), name.find(".")
    if slash >= 0 and (dot < 0 or slash < dot):
        return tuple(name.split("/"))
    return tuple(part.translate(_SWAPPED) for part in name.split("."))
