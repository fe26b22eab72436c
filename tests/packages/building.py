"""Building packages as `make deb` and `make zipapp` do."""

import subprocess
import sys
from pathlib import Path

from deploy.packages.source import CHECKOUT


def build_all(dist: Path, umask: int = 0o022) -> Path:
    """Run both commands that build something, and return the folder."""
    for command in ("deb", "zipapp"):
        subprocess.run(
            [sys.executable, "-m", "deploy.packages", command, f"--dist={dist}"],
            check=True,
            cwd=CHECKOUT,
            umask=umask,
        )
    return dist
