"""The lock files: every library of a package with its version and the hashes of its files."""

import subprocess
import sys
from collections.abc import Sequence

from deploy.packages.errors import BuildError
from deploy.packages.source import CHECKOUT
from deploy.packages.wheels import lock_file

_OPTIONS = (
    "--quiet",
    "--generate-hashes",
    "--python-version=3.11",
    "--python-platform=linux",
    "--only-binary=:all:",
    "--no-annotate",
    "--custom-compile-command=make lock",
)


def lock(*, upgrade: bool) -> None:
    """Write all lock files; the director has the agent's versions.

    Args:
        upgrade: Take the newest versions; otherwise keep those that satisfy pyproject.toml.

    Raises:
        BuildError: The requirements cannot be resolved.
    """
    project = str(CHECKOUT / "pyproject.toml")
    agent = str(lock_file("agent"))
    _compile("agent", [project], upgrade=upgrade)
    _compile("director", [project, "--extra=director", f"--constraint={agent}"], upgrade=upgrade)
    _compile("build", [str(lock_file("build").with_suffix(".in"))], upgrade=upgrade)


def _compile(requirements: str, arguments: Sequence[str], *, upgrade: bool) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", *_OPTIONS, *arguments]
    command += [f"--output-file={lock_file(requirements)}", *(["--upgrade"] if upgrade else [])]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{requirements}.txt could not be locked:\n{done.stderr}")
