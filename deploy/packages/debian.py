"""Debian packages, each with a virtual environment of its own.

The environment is below /usr/lib, as FHS 3.0 wants it of a package: /opt may be a file system of
its own and belongs to what the host's packages do not manage.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.packages.bill_of_materials import write_bill_of_materials
from deploy.packages.errors import BuildError
from deploy.packages.source import CHECKOUT, debian_version, source_date, version
from deploy.packages.wheels import NATIVE, PURE, Target, install

_ARCHITECTURES = {"": "all", "x86_64": "amd64", "aarch64": "arm64"}
_INSTALLED_BY_PIP = "/usr/local/bin/"
_SYSTEMD = CHECKOUT / "deploy" / "systemd"
_SCRIPTS = ("postinst", "prerm", "postrm")
_SITE_PACKAGES = "lib/python3.11/site-packages"
_NEWER_PYTHONS = ("python3.12", "python3.13", "python3.14")
_ENTRY_POINT = """\
#!/usr/lib/{package}/bin/python3 -I
from {module} import main

main()
"""
_ENVIRONMENT = """\
home = /usr/bin
include-system-site-packages = false
version = 3.11
"""


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package.

    Attributes:
        name: Also that of the folder with its control file and scripts.
        requirements: Name of its lock file.
        target: What its wheels are chosen for. One of pure Python runs on every Python from 3.11.
        commands: Commands, with the module of each one's `main`.
        units: Files of deploy/systemd, with the folder that each is installed in.
    """

    name: str
    requirements: str
    target: Target
    commands: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, str], ...]

    @property
    def architecture(self) -> str:
        """The architecture, as Debian names it."""
        return _ARCHITECTURES[self.target.machine]

    @property
    def file_name(self) -> str:
        """Name of the file that it is."""
        return f"{self.name}_{debian_version(version())}_{self.architecture}.deb"


AGENT = Package(
    name="lvsctl-agent",
    requirements="agent",
    target=PURE,
    commands=(("lvsctl", "lvsctl.cli.main"),),
    units=(
        ("lvsctl-agent.service", "usr/lib/systemd/system"),
        ("sysusers.d/lvsctl-agent.conf", "usr/lib/sysusers.d"),
        ("modules-load.d/lvsctl-agent.conf", "usr/lib/modules-load.d"),
        ("agent.toml", "etc/lvsctl"),
    ),
)
DIRECTOR = Package(
    name="lvsctl-director",
    requirements="director",
    target=NATIVE,
    commands=(("lvsctl", "lvsctl.cli.main"), ("lvsctl-exec", "lvsctl.health.programs.main")),
    units=(
        ("lvsctl-director.service", "usr/lib/systemd/system"),
        ("lvsctl-exec.service", "usr/lib/systemd/system"),
        ("lvsctl-exec.socket", "usr/lib/systemd/system"),
        ("sysusers.d/lvsctl-director.conf", "usr/lib/sysusers.d"),
        ("tmpfiles.d/lvsctl-director.conf", "usr/lib/tmpfiles.d"),
        ("modules-load.d/lvsctl-director.conf", "usr/lib/modules-load.d"),
        ("director.toml", "etc/lvsctl"),
    ),
)


def build_package(package: Package, own: Path, dist: Path) -> Path:
    """Build a package and the list of what is inside.

    Args:
        package: The package.
        own: Folder with lvsctl's own wheel.
        dist: Folder to build in.

    Returns:
        The package, a file in `dist`.

    Raises:
        BuildError: It cannot be built.
    """
    dist.mkdir(parents=True, exist_ok=True)
    built = dist / package.file_name
    with tempfile.TemporaryDirectory() as staging:
        tree = Path(staging)
        environment = tree / "usr" / "lib" / package.name
        wheels = _create_environment(package, own, environment)
        _copy_files(package, tree)
        _write_control(package, tree)
        _normalise(tree, source_date())
        _dpkg_deb(tree, built)
        write_bill_of_materials(
            built,
            purl=f"pkg:deb/{package.name}@{debian_version(version())}?arch={package.architecture}",
            site_packages=environment / _SITE_PACKAGES,
            wheels=wheels,
        )
    return built


def _create_environment(package: Package, own: Path, environment: Path) -> Path:
    wheels = install(package.requirements, package.target, own, environment / _SITE_PACKAGES)
    (environment / "pyvenv.cfg").write_text(_ENVIRONMENT)
    (environment / "bin").mkdir()
    (environment / "bin" / "python3").symlink_to("/usr/bin/python3")
    for command, module in package.commands:
        entry_point = _ENTRY_POINT.format(package=package.name, module=module)
        (environment / "bin" / command).write_text(entry_point)
    if not package.target.machine:
        for newer in _NEWER_PYTHONS:
            (environment / "lib" / newer).symlink_to("python3.11")
    return wheels


def _copy_files(package: Package, tree: Path) -> None:
    for source, folder in package.units:
        destination = tree / folder / Path(source).name
        destination.parent.mkdir(parents=True, exist_ok=True)
        text = (_SYSTEMD / source).read_text()
        destination.write_text(text.replace(_INSTALLED_BY_PIP, f"/usr/lib/{package.name}/bin/"))
    documents = tree / "usr" / "share" / "doc" / package.name
    documents.mkdir(parents=True)
    shutil.copyfile(CHECKOUT / "LICENSE", documents / "copyright")
    changes = gzip.compress((CHECKOUT / "CHANGELOG.md").read_bytes(), mtime=0)
    (documents / "changelog.gz").write_bytes(changes)


def _write_control(package: Package, tree: Path) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    kibibytes = sum(-(-path.stat().st_size // 1024) for path in files)
    sources = Path(__file__).parent / package.name
    control = tree / "DEBIAN"
    control.mkdir()
    fields = (sources / "control").read_text()
    for name, value in (
        ("Version", debian_version(version())),
        ("Architecture", package.architecture),
        ("Installed-Size", str(kibibytes)),
    ):
        fields = re.sub(r"(?m)^(?=Description:)", f"{name}: {value}\n", fields, count=1)
    (control / "control").write_text(fields)
    names = [str(path.relative_to(tree)) for path in files]
    (control / "conffiles").write_text(
        "".join(f"/{name}\n" for name in names if name.startswith("etc/"))
    )
    (control / "md5sums").write_text("".join(_md5sums(files, names)))
    for script in _SCRIPTS:
        shutil.copyfile(sources / script, control / script)


def _md5sums(files: Sequence[Path], names: Sequence[str]) -> Iterator[str]:
    for path, name in zip(files, names, strict=True):
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        if not name.startswith("etc/"):
            yield f"{digest}  {name}\n"


def _normalise(tree: Path, date: int) -> None:
    """Give files the modes and the date that do not depend on who builds, where and when."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            is_program = path.parent.name == "bin" or path.name in _SCRIPTS
            path.chmod(0o755 if path.is_dir() or is_program else 0o644)
        os.utime(path, (date, date), follow_symlinks=False)


def _dpkg_deb(tree: Path, built: Path) -> None:
    done = subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zzstd", "--build", str(tree), str(built)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(source_date())},
    )
    if done.returncode:
        raise BuildError(f"dpkg-deb could not build {built.name}:\n{done.stderr}")
