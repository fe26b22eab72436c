"""Options for the tunnel to real servers."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from lvsctl.cli.changes import Unset, unset_by
from lvsctl.cli.options import number, read_by

Command = TypeVar("Command", bound=Callable[..., Any])

TYPES = "Tunnel type: ipip, gre or gue; resets port and checksum unless given too"


def tunnel_options(command: Command) -> Command:
    """Add the options for a pool's tunnel to a command."""
    return _options(command, click.option("--tunnel", metavar="TYPE", help=f"{TYPES}."))


def own_tunnel_options(command: Command) -> Command:
    """Add the options for one server's tunnel to a command."""
    return _options(
        command,
        click.option(
            "--tunnel",
            metavar="TYPE",
            callback=read_by(unset_by("pool", str)),
            help=f"{TYPES}. Replaces the pool's tunnel as a whole; pool for the pool's.",
        ),
    )


def _options(command: Command, tunnel: Callable[[Command], Command]) -> Command:
    port = click.option("--tunnel-port", type=int, help="UDP port of gue.  [6080]")
    checksum = click.option(
        "--tunnel-checksum/--no-tunnel-checksum",
        default=None,
        help="Checksum in the outer header of gre or gue.",
    )
    mtu = click.option(
        "--tunnel-mtu",
        metavar="BYTES",
        callback=read_by(unset_by("auto", number)),
        help="Largest outer packet that the network carries; auto to use the hosts' routes.",
    )
    return tunnel(port(checksum(mtu(command))))


def tunnel_patch(options: dict[str, Any]) -> Any:  # noqa: ANN401 - a document or Unset
    """Pop the tunnel options from a command's options, and return what they change.

    A new type resets port and checksum, which would not fit it.

    Returns:
        A merge patch; None if no option was given, ``Unset.UNSET`` to remove the tunnel.

    Raises:
        click.UsageError: ``--tunnel pool`` was given with another tunnel option.
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
            raise click.UsageError("--tunnel pool cannot be combined with other tunnel options")
        return Unset.UNSET
    if given["type"] is not None:
        patch = {"port": None, "checksum": None, **patch}
    return patch or None
