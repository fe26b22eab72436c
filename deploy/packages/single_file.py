"""The agent in a single file, for systems without Debian packages: pure Python, run in place."""

import tempfile
import zipfile
from pathlib import Path
from time import gmtime

from deploy.packages.bill_of_materials import write_bill_of_materials
from deploy.packages.source import source_date, version
from deploy.packages.wheels import PURE, install

_SHEBANG = b"#!/usr/bin/env python3\n"
_ENTRY_POINT = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("lvsctl needs Python 3.11 or newer, and %s is %s" % (
        sys.executable, sys.version.split()[0],
    ))

from lvsctl.cli.main import main

main()
"""
"""Any Python 3 can read it as far as the first statement, which says what is missing."""
_MODE = 0o100644 << 16


def build_single_file(own: Path, dist: Path) -> Path:
    """Build the file and the list of what is inside.

    Args:
        own: Folder with lvsctl's own wheel.
        dist: Folder to build in.

    Returns:
        The file, in `dist`.

    Raises:
        BuildError: It cannot be built.
    """
    dist.mkdir(parents=True, exist_ok=True)
    built = dist / f"lvsctl-agent-{version()}.pyz"
    with tempfile.TemporaryDirectory() as staging:
        tree = Path(staging)
        wheels = install("agent", PURE, own, tree)
        (tree / "__main__.py").write_text(_ENTRY_POINT)
        _archive(tree, built)
        purl = f"pkg:generic/lvsctl-agent@{version()}"
        write_bill_of_materials(built, purl=purl, site_packages=tree, wheels=wheels)
    return built


def _archive(tree: Path, built: Path) -> None:
    date = gmtime(source_date())[:6]
    with built.open("wb") as file:
        file.write(_SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(each for each in tree.rglob("*") if each.is_file()):
                entry = zipfile.ZipInfo(str(path.relative_to(tree)), date)
                entry.external_attr = _MODE
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    built.chmod(0o755)
