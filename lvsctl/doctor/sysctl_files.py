"""Reads the files that set kernel parameters (sysctl.d(5))."""

from pathlib import Path

from lvsctl.doctor.facts import SysctlSetting
from lvsctl.doctor.sysctl_settings import parse_settings

FOLDERS = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
"""By precedence: a file replaces those of the same name in later folders."""
LAST = "/etc/sysctl.conf"
"""Read last by sysctl --system."""


def read_settings(root: Path = Path("/")) -> tuple[SysctlSetting, ...]:
    """Return every line that sets a parameter, in the order in which they are applied."""
    files: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in root.joinpath(folder[1:]).glob("*.conf"):
            files.setdefault(path.name, path)
    ordered = [files[name] for name in sorted(files)]
    return tuple(
        setting
        for path in (*ordered, root / LAST[1:])
        for setting in parse_settings(f"/{path.relative_to(root)}", _text(path))
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        return ""
