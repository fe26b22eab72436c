"""What is built: the same from the same source, of locked libraries, and listed."""

import json
import re
import subprocess
import tomllib
import zipfile
from collections.abc import Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.packages.debian import AGENT, DIRECTOR
from deploy.packages.source import CHECKOUT, debian_version, version
from deploy.packages.wheels import NATIVE, PURE, fetch, lock_file
from tests.packages.building import build_all

LOCKS = ["agent", "director", "build"]
SINGLE_FILE = f"lvsctl-agent-{version()}.pyz"
BUILT = [AGENT.file_name, DIRECTOR.file_name, SINGLE_FILE]
DEBIAN_12: Mapping[str, str] = {
    **{name: str(value) for name, value in default_environment().items()},
    "python_version": "3.11",
    "python_full_version": "3.11.2",
    "extra": "",
}


def locked(name: str) -> Mapping[str, str]:
    """Return the versions in a lock file."""
    found = re.findall(r"(?m)^([A-Za-z0-9._-]+)==(\S+)", lock_file(name).read_text())
    return {canonicalize_name(library): its_version for library, its_version in found}


def required(name: str) -> list[str]:
    """Return what pyproject.toml requires for the agent, a director or a build."""
    pyproject = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    project = pyproject["project"]
    extra = project["optional-dependencies"]["director"] if name == "director" else []
    return (
        pyproject["build-system"]["requires"]
        if name == "build"
        else [
            *project["dependencies"],
            *extra,
        ]
    )


def components(file: Path) -> Mapping[str, str]:
    """Return the libraries that are listed, with their versions."""
    listed = json.loads(file.with_name(f"{file.name}.cdx.json").read_text())["components"]
    return {canonicalize_name(each["name"]): each["version"] for each in listed}


def unpacked(dist: Path, name: str, folder: Path) -> Path:
    """Return the folder of the Python modules in what was built."""
    if name == SINGLE_FILE:
        zipfile.ZipFile(dist / name).extractall(folder)
        return folder
    subprocess.run(["dpkg-deb", "--extract", str(dist / name), str(folder)], check=True)
    [site_packages] = folder.glob("usr/lib/lvsctl-*/lib/python3.11/site-packages")
    return site_packages


def test_building_again_gives_the_same_bytes(
    dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere, later and as somebody with another umask and time zone."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    again = build_all(tmp_path / "elsewhere", umask=0o077)
    names = sorted(path.name for path in dist.iterdir())
    assert sorted([*BUILT, *(f"{name}.cdx.json" for name in BUILT)]) == names
    for name in names:
        assert (dist / name).read_bytes() == (again / name).read_bytes(), name


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_satisfies_what_is_required(name: str) -> None:
    """By pyproject.toml, which may have changed since."""
    versions = locked(name)
    for requirement in map(Requirement, required(name)):
        pinned = versions.get(canonicalize_name(requirement.name), "nothing")
        assert requirement.specifier.contains(pinned), f"run `make lock`: {requirement}, {pinned}"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_hashes_and_no_place(name: str) -> None:
    """Where packages come from is the business of whoever builds."""
    text = lock_file(name).read_text()
    assert len(locked(name)) == len(re.findall(r"(?m)^\S+==\S+ \\\n +--hash=sha256:", text))
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_both_have_the_same_libraries_in_common() -> None:
    """On a machine with both packages, either command does the same."""
    assert locked("agent").items() <= locked("director").items()


@pytest.mark.parametrize(
    ("name", "lock"), [*zip(BUILT, ["agent", "director", "agent"], strict=True)]
)
def test_what_is_inside_is_what_is_locked_and_listed(
    dist: Path, tmp_path: Path, name: str, lock: str
) -> None:
    """All of it, nothing else, and all that each library requires."""
    inside = {
        canonicalize_name(each.name): each
        for each in distributions(path=[str(unpacked(dist, name, tmp_path))])
    }
    assert version() == inside.pop("lvsctl").version
    versions = {library: each.version for library, each in inside.items()}
    assert locked(lock) == versions == components(dist / name)
    for each in inside.values():
        _assert_has_its_requirements(each, versions)


def _assert_has_its_requirements(library: Distribution, versions: Mapping[str, str]) -> None:
    for requirement in map(Requirement, library.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate(dict(DEBIAN_12)):
            found = versions.get(canonicalize_name(requirement.name), "nothing")
            assert requirement.specifier.contains(found), f"{library.name}: {requirement}, {found}"


@pytest.mark.parametrize("name", BUILT)
def test_the_list_is_valid(dist: Path, name: str) -> None:
    """By the schema of CycloneDX."""
    text = (dist / f"{name}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


@pytest.mark.parametrize("name", [AGENT.file_name, SINGLE_FILE])
def test_the_agent_is_pure_python(dist: Path, tmp_path: Path, name: str) -> None:
    """Nothing in it is bound to a processor or to one version of Python."""
    native = {".so", ".pyd", ".pyc", ".a", ".o"}
    assert [] == [
        path for path in unpacked(dist, name, tmp_path).rglob("*") if path.suffix in native
    ]


def test_wheels_are_fetched_once() -> None:
    """They are kept by the lock file's digest."""
    assert fetch("agent", PURE) == fetch("agent", PURE)
    assert fetch("agent", PURE) != fetch("director", NATIVE)


@pytest.mark.parametrize("pre_release", ["1.0.0a1", "1.0.0b2", "1.0.0rc1", "1.0.0.dev4"])
def test_a_pre_release_sorts_before_its_release(pre_release: str) -> None:
    """As dpkg compares versions."""
    compare = ["dpkg", "--compare-versions", debian_version(pre_release), "lt", "1.0.0"]
    subprocess.run(compare, check=True)
    assert "1.0.0" == debian_version("1.0.0")


def test_an_older_python_is_told_so(dist: Path) -> None:
    """The entry point can be read by every Python 3, and says which one is needed."""
    entry_point = zipfile.ZipFile(dist / SINGLE_FILE).read("__main__.py").decode()
    first_import = entry_point.index("from lvsctl")
    assert "sys.version_info < (3, 11)" in entry_point[:first_import]
    compile(entry_point, "__main__.py", "exec", optimize=0)
