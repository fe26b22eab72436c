"""Wheels: the locked ones of the libraries, and lvsctl's own."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.packages.errors import BuildError
from deploy.packages.source import CHECKOUT, source_date, version

REQUIREMENTS = Path(__file__).parent / "requirements"
CACHE = CHECKOUT / "build" / "packages" / "wheels"
_GLIBC_MINORS = range(36, 4, -1)
"""Of the oldest supported Debian, 12, and what its C library can load."""
_BUILD = "build"
_QUIETLY = ("--quiet", "--disable-pip-version-check")


@dataclass(frozen=True, slots=True)
class Target:
    """The interpreter and machine that wheels are chosen for, whatever builds the package.

    Attributes:
        machine: As `uname -m` prints it; empty if only pure Python is allowed.
    """

    machine: str

    def pip_options(self) -> Sequence[str]:
        """Return pip's options that choose its wheels."""
        if not self.machine:
            return ("--python-version=3.11", "--platform=any", "--abi=none")
        platforms = [f"manylinux_2_{minor}_{self.machine}" for minor in _GLIBC_MINORS]
        return (
            *("--python-version=3.11", "--implementation=cp"),
            *("--abi=cp311", "--abi=abi3", "--abi=none"),
            *(f"--platform={each}" for each in (*platforms, f"manylinux2014_{self.machine}")),
        )


PURE = Target("")
NATIVE = Target(platform.machine())


def lock_file(requirements: str) -> Path:
    """Return the lock file of the agent, the director or the build."""
    return REQUIREMENTS / f"{requirements}.txt"


def fetch(requirements: str, target: Target) -> Path:
    """Return a folder with the wheels of a lock file; pip checks their hashes.

    Raises:
        BuildError: A wheel cannot be fetched.
    """
    lock = lock_file(requirements)
    name = hashlib.sha256("\n".join([lock.read_text(), *target.pip_options()]).encode())
    folder = CACHE / name.hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as incomplete:
            options = (*target.pip_options(), *_locked(lock), f"--dest={incomplete}/wheels")
            _pip("download", *options, what=f"the wheels of {lock.name}")
            _move(Path(incomplete, "wheels"), folder)
    return folder


def build_own_wheel(folder: Path) -> None:
    """Build lvsctl's own wheel in a folder, with the locked build requirements.

    Raises:
        BuildError: It cannot be built.
    """
    offline = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(fetch(_BUILD, PURE)),
        "SOURCE_DATE_EPOCH": str(source_date()),
    }
    options = ("--no-deps", f"--wheel-dir={folder}", str(CHECKOUT))
    _pip("wheel", *options, what="lvsctl's wheel", environment=offline)


def install(requirements: str, target: Target, own: Path, site_packages: Path) -> Path:
    """Install lvsctl and its locked libraries in a folder, uncompiled.

    Args:
        requirements: Name of the lock file.
        target: What wheels are chosen for.
        own: Folder with lvsctl's own wheel.
        site_packages: The folder to install in.

    Returns:
        The folder with the libraries' wheels.

    Raises:
        BuildError: Something cannot be fetched or installed.
    """
    libraries = fetch(requirements, target)
    lvsctl = ("--no-deps", "--only-binary=:all:", f"lvsctl=={version()}")
    for source, what in ((libraries, _locked(lock_file(requirements))), (own, lvsctl)):
        _pip(
            "install",
            *target.pip_options(),
            *("--no-compile", f"--target={site_packages}"),
            *("--no-index", f"--find-links={source}", *what),
            what=str(source),
            environment={"PIP_CONFIG_FILE": os.devnull},
        )
    # Of other packages' command lines; their first lines name the interpreter of the build.
    shutil.rmtree(site_packages / "bin", ignore_errors=True)
    return libraries


def _locked(lock: Path) -> Sequence[str]:
    return ("--no-deps", "--require-hashes", "--only-binary=:all:", f"--requirement={lock}")


def _move(folder: Path, destination: Path) -> None:
    try:
        folder.rename(destination)
    except OSError:
        if not destination.exists():  # or another build was quicker
            raise


def _pip(
    command: str, *arguments: str, what: str, environment: Mapping[str, str] | None = None
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, *_QUIETLY, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise BuildError(f"pip {command} of {what} failed:\n{done.stderr}")
