"""``lvsctl store``: moves a farm between a file and etcd, and shows what etcd holds."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click

from lvsctl.cli.options import prints
from lvsctl.cli.output import Format, columns, fields, sections, show

if TYPE_CHECKING:
    from lvsctl.store.factory import StoreLocation
    from lvsctl.store.transfer import EtcdStatus


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where in etcd the farm is kept."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--store",
        "store_url",
        metavar="URL",
        envvar="LVSCTL_STORE",
        help="Farm in etcd, shared by several directors: etcd://[USER@]HOST:PORT[,...]/FARM, or "
        "etcd+tls://… for TLS.  [a file in --state-dir]",
    ),
    click.option(
        "--store-password-file",
        type=click.Path(path_type=Path),
        envvar="LVSCTL_STORE_PASSWORD_FILE",
        help="File with the password of that USER; no other user may read it.",
    ),
    click.option(
        "--store-ca-file",
        type=click.Path(path_type=Path),
        envvar="LVSCTL_STORE_CA_FILE",
        help="Certificates of the authorities that sign etcd's certificates.  [the system's]",
    ),
    click.option(
        "--store-certificate-file",
        type=click.Path(path_type=Path),
        envvar="LVSCTL_STORE_CERTIFICATE_FILE",
        help="Certificate of this client of etcd; without a common name if etcd has users.",
    ),
    click.option(
        "--store-key-file",
        type=click.Path(path_type=Path),
        envvar="LVSCTL_STORE_KEY_FILE",
        help="Key of that certificate.",
    ),
)

_STATE_DIR = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/lvsctl",
    envvar="LVSCTL_STATE_DIR",
    show_default=True,
    help="Folder of the farm's file.",
)


class StoreOptions(TypedDict):
    """Values of :func:`store_options`."""

    store_url: str | None
    store_password_file: Path | None
    store_ca_file: Path | None
    store_certificate_file: Path | None
    store_key_file: Path | None


def location(options: StoreOptions) -> "StoreLocation":
    """Return where the farm is kept."""
    from lvsctl.store.factory import StoreLocation  # noqa: PLC0415 - loads the HTTP client

    return StoreLocation(
        options["store_url"],
        options["store_password_file"],
        options["store_ca_file"],
        options["store_certificate_file"],
        options["store_key_file"],
    )


@click.group()
def store() -> None:
    """Move the farm between a file and etcd; show what etcd holds."""


@store.command("import")
@store_options
@_STATE_DIR
def import_(state_dir: Path, **options: Unpack[StoreOptions]) -> None:
    """Copy the farm of a stopped director to etcd.

    Afterwards start that director with the same --store and --state-dir, and others with an empty
    --state-dir.
    """
    from lvsctl.store.transfer import import_farm  # noqa: PLC0415

    click.echo(f"imported {import_farm(state_dir, location(options))}")


@store.command()
@store_options
@_STATE_DIR
def export(state_dir: Path, **options: Unpack[StoreOptions]) -> None:
    """Write a farm in etcd to a file, for a director that runs without etcd."""
    from lvsctl.store.transfer import export_farm  # noqa: PLC0415

    click.echo(f"exported {export_farm(location(options), state_dir)}")


@store.command()
@store_options
@prints
def status(form: Format, **options: Unpack[StoreOptions]) -> None:
    """Show the members of etcd, and the revision and size of the farm there.

    Exit status: 1 if the farm cannot be read.
    """
    from lvsctl.store.transfer import etcd_status  # noqa: PLC0415

    found = etcd_status(location(options))
    show(asdict(found), form, lambda: _status_table(found))
    if found.problem:
        click.get_current_context().exit(1)


def _status_table(found: "EtcdStatus") -> str:
    position = found.position
    return sections(
        columns(
            ("MEMBER", "VERSION", "LEADER", "DATABASE", "PROBLEM"),
            (
                (each.endpoint, each.version, each.leads, f"{each.size} B", each.problem)
                for each in found.members
            ),
        ),
        fields(
            [
                ("farm", position.farm_id if position else None),
                ("epoch", position.epoch if position else None),
                ("revision", position.revision if position else None),
                ("commits in the log", found.commits),
                ("problem", found.problem or None),
            ]
        ),
    )
