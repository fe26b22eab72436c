"""What the tests of packages share, made once for all of them: packages and a clean root."""

import fcntl
import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from deploy.packages.source import CHECKOUT
from tests.packages.building import build_all
from tests.support.machine import AS_ROOT, Boot, Machine, booted

BUILD = CHECKOUT / "build" / "packages"
NEEDED_TO_TEST = ("iproute2", "procps")
DOWNLOADED = ("ipvsadm", "python3-venv")
"""What README.md's commands install from Debian; a machine has no network."""
ADDRESSES = ("192.0.2.10/32", "192.0.2.11/32")
"""Of the director and the real server in the files that the packages install."""
_NO_IPVS = "[Manager]\nDefaultEnvironment=LVSCTL_IPVS=memory LVSCTL_ADDRESS=192.0.2.11\n"
"""This kernel may have no IPVS, and no route that would tell an agent its address."""


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that is built."""
    return build_all(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def clean_root(dist: Path) -> Path:
    """Debian 12 with nothing but what the packages depend on."""
    depends = sorted({name for deb in dist.glob("*.deb") for name in _dependencies(deb)})
    digest = hashlib.sha256(repr((depends, NEEDED_TO_TEST, DOWNLOADED, _NO_IPVS)).encode())
    root = BUILD / f"bookworm-{digest.hexdigest()[:16]}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "bookworm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _bootstrap([*depends, *NEEDED_TO_TEST], root)
    return root


def _dependencies(deb: Path) -> Iterator[str]:
    fields = subprocess.run(
        ["dpkg-deb", "--field", str(deb), "Depends"], check=True, capture_output=True, text=True
    )
    for dependency in fields.stdout.split(","):
        yield dependency.split()[0]


def _bootstrap(packages: list[str], root: Path) -> None:
    incomplete = root.with_suffix(".incomplete")
    subprocess.run([*AS_ROOT, "rm", "-rf", str(incomplete)], check=True)
    configuration = f"""printf 'APT::Get::Assume-Yes "true";' >"$1/etc/apt/apt.conf.d/90test"
        mkdir "$1/etc/systemd/system.conf.d"
        printf '{_NO_IPVS}' >"$1/etc/systemd/system.conf.d/test.conf" """
    download = f'chroot "$1" apt-get --yes --download-only install {" ".join(DOWNLOADED)}'
    subprocess.run(
        [
            *AS_ROOT,
            *("mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(packages)}"),
            *(f"--customize-hook={configuration}", f"--customize-hook={download}"),
            *("--skip=cleanup/apt", "bookworm", str(incomplete)),
        ],
        check=True,
    )
    subprocess.run([*AS_ROOT, "mv", str(incomplete), str(root)], check=True)


@pytest.fixture(scope="session")
def boot(clean_root: Path, dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Boot:
    """Boots a machine with a clean root; it sees what is built, and this checkout."""
    log = tmp_path_factory.mktemp("console") / "console.log"

    def boot(shared: Mapping[Path, str]) -> AbstractContextManager[Machine]:
        shared = {dist: "/packages", CHECKOUT: "/checkout", **shared}
        return booted(clean_root, log=log, shared=shared, network=ADDRESSES)

    return boot
