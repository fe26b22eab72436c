"""The checkout that is packaged: its version and its date."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

from deploy.packages.errors import BuildError

CHECKOUT = Path(__file__).resolve().parents[2]
_OLDEST_IN_A_ZIP = 315_532_800
"""1980-01-01, in seconds since the epoch; a zip file has no earlier date."""


def version() -> str:
    """Return lvsctl's version, from pyproject.toml."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def debian_version(python_version: str) -> str:
    """Return the Debian version; a pre-release sorts before its release, as in deb-version(7)."""
    return re.sub(r"\.?(a|b|rc|dev)(\d+)", r"~\1\2", python_version)


def source_date() -> int:
    """Return the date of every packaged file, in seconds since the epoch.

    It is SOURCE_DATE_EPOCH, otherwise the date of the last commit.

    Raises:
        BuildError: There is neither, or it is before 1980.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH") or _date_of_last_commit()
    if not given.isdecimal() or int(given) < _OLDEST_IN_A_ZIP:
        raise BuildError(
            f"SOURCE_DATE_EPOCH is {given!r}: expected seconds since the epoch, 1980 or later"
        )
    return int(given)


def _date_of_last_commit() -> str:
    command = ["git", "-C", str(CHECKOUT), "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(
            f"{CHECKOUT} is no git checkout, so its files have no date: set SOURCE_DATE_EPOCH"
        ) from error
    return done.stdout.strip()
