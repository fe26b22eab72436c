"""The options that say which tunnel leads to real servers."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from lvsctl.cli.changes import Unset, unset_by
from lvsctl.cli.options import number, read_by

Command = TypeVar("Command", bound=Callable[..., Any])

TYPES = "Kind of the outer header: ipip, gre or gue; its port and checksum are then as given here"


def tunnel_options(command: Command) -> Command:
    """Give a command the options for a pool's tunnel."""
    return _options(command, click.option("--tunnel", metavar="TYPE", help=f"{TYPES}."))


def own_tunnel_options(command: Command) -> Command:
    """Give a command the options for the tunnel of one server."""
    return _options(
        command,
        click.option(
            "--tunnel",
            metavar="TYPE",
            callback=read_by(unset_by("pool", str)),
            help=f"{TYPES}. Instead of the pool's, as a whole; pool: the pool's.",
        ),
    )


def _options(command: Command, tunnel: Callable[[Command], Command]) -> Command:
    port = click.option("--tunnel-port", type=int, help="UDP port of gue; 6080 where none is said.")
    checksum = click.option(
        "--tunnel-checksum/--no-tunnel-checksum",
        default=None,
        help="Whether the outer header of gre or gue carries one.",
    )
    mtu = click.option(
        "--tunnel-mtu",
        metavar="BYTES",
        callback=read_by(unset_by("auto", number)),
        help="Largest outer packet that the network lets through; auto: as the routes say.",
    )
    return tunnel(port(checksum(mtu(command))))


def tunnel_patch(options: dict[str, Any]) -> Any:  # noqa: ANN401 - a document or Unset
    """Take the options for a tunnel out of a command's, and return what they change.

    A type that is named brings its own port and checksum: those of the old type would not fit.

    Returns:
        A merge patch; None where no option was given, ``Unset.UNSET`` where the tunnel goes.

    Raises:
        click.UsageError: A tunnel that goes is given fields.
    """
    given = {
        field: options.pop(f"tunnel_{field}" if field != "type" else "tunnel")
        for field in ("type", "port", "checksum", "mtu")
    }
    patch = {
        field: None if value is Unset.UNSET else value
        for field, value in given.items()
        if value is not None
    }
    if given["type"] is Unset.UNSET:
        if len(patch) > 1:
            raise click.UsageError("--tunnel pool takes no other option for the tunnel")
        return Unset.UNSET
    if given["type"] is not None:
        patch = {"port": None, "checksum": None, **patch}
    return patch or None
