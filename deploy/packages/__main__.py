"""The command line that builds packages: `python -m deploy.packages`."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from deploy.packages.debian import AGENT, DIRECTOR, build_package
from deploy.packages.errors import BuildError
from deploy.packages.locks import lock
from deploy.packages.single_file import build_single_file
from deploy.packages.source import CHECKOUT
from deploy.packages.wheels import build_own_wheel

dist_option = click.option(
    "--dist",
    type=click.Path(path_type=Path),
    default=CHECKOUT / "dist",
    help="Folder for what is built.  [dist]",
)


@click.group()
def packages() -> None:
    """Build what lvsctl is installed from."""


@packages.command()
@dist_option
def deb(dist: Path) -> None:
    """Build the Debian packages of the agent and the director."""
    with TemporaryDirectory() as own:
        build_own_wheel(Path(own))
        for package in (AGENT, DIRECTOR):
            click.echo(build_package(package, Path(own), dist))


@packages.command()
@dist_option
def zipapp(dist: Path) -> None:
    """Build the agent in a single file."""
    with TemporaryDirectory() as own:
        build_own_wheel(Path(own))
        click.echo(build_single_file(Path(own), dist))


@packages.command("lock")
@click.option("--upgrade", is_flag=True, help="Take the newest versions allowed.")
def write_locks(*, upgrade: bool) -> None:
    """Pin all libraries, with the hashes of their files."""
    lock(upgrade=upgrade)


if __name__ == "__main__":
    try:
        packages()
    except BuildError as error:
        sys.exit(f"error: {error}")
