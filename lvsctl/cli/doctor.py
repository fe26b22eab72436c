"""``lvsctl doctor``: finds what is wrong on this host."""

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lvsctl.agent.config import DEFAULT_STATE_DIR
from lvsctl.cli.options import prints, token_of
from lvsctl.cli.output import Format, Json, cell, columns, sections, show
from lvsctl.client.address import local_address

if TYPE_CHECKING:
    from lvsctl.messages.model import Tunnel
    from lvsctl.net import IPAddress

FOUND_SOMETHING = 3
_MAX_PORT = 65535
_TUNNEL = re.compile(
    r"(?P<type>ipip|gre|gue)(:(?P<port>[0-9]{1,5}))?(?P<checksum>\+checksum)?",
)
_TUNNELS = "ipip, gre or gue:PORT, the latter two also with +checksum"


def _addresses(
    ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> "tuple[IPAddress, ...]":
    try:
        return tuple(map(ipaddress.ip_address, texts))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def _tunnels(
    ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> "tuple[Tunnel, ...]":
    from lvsctl.messages.model import Tunnel  # noqa: PLC0415 - only where a tunnel is given

    tunnels = []
    for text in texts:
        found = _TUNNEL.fullmatch(text)
        tunnel = found and Tunnel(
            found["type"], int(found["port"] or 0), checksum=bool(found["checksum"])
        )
        if (
            not tunnel
            or (tunnel.type == "gue") != (0 < tunnel.port <= _MAX_PORT)
            or (tunnel.type == "ipip" and tunnel.checksum)
        ):
            raise click.BadParameter(f"{text!r} is not {_TUNNELS}", ctx, param)
        tunnels.append(tunnel)
    return tuple(tunnels)


@click.command()
@click.option(
    "--role",
    type=click.Choice(["real-server", "director"]),
    help="Check this host in one role only.  [all roles that it has]",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT_STATE_DIR,
    show_default=True,
    help="State folder of the agent.",
)
@click.option(
    "--director-state-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/lvsctl",
    show_default=True,
    help="State folder of the director.",
)
@click.option(
    "--client",
    "clients",
    multiple=True,
    callback=_addresses,
    metavar="ADDRESS",
    help="Client address that real servers must reach; repeat for several.",
)
@click.option(
    "--vip",
    "vips",
    multiple=True,
    callback=_addresses,
    metavar="ADDRESS",
    help="VIP of a real server without an agent; repeat for several.",
)
@click.option(
    "--tunnel",
    "tunnels",
    multiple=True,
    callback=_tunnels,
    metavar="TUNNEL",
    help=f"Tunnel of a real server without an agent: {_TUNNELS}.  [ipip]",
)
@click.option(
    "--address",
    "address",
    multiple=True,
    callback=_addresses,
    metavar="ADDRESS",
    help="Address of a real server without an agent (RIP).",
)
@click.option(
    "--director",
    "directors",
    multiple=True,
    callback=_addresses,
    metavar="ADDRESS",
    help="Address of a director that sends the tunnelled packets; repeat for several.",
)
@click.option(
    "--url",
    envvar="LVSCTL_URL",
    show_envvar=True,
    help="URL of the REST API on a director, or unix:PATH.  [the UNIX socket, if there is one]",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_TOKEN_FILE",
    help="File with the bearer token; LVSCTL_TOKEN overrides it.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@prints
def doctor(
    *,
    role: str | None,
    state_dir: Path,
    director_state_dir: Path,
    clients: "tuple[IPAddress, ...]",
    vips: "tuple[IPAddress, ...]",
    tunnels: "tuple[Tunnel, ...]",
    address: "tuple[IPAddress, ...]",
    directors: "tuple[IPAddress, ...]",
    url: str | None,
    token_file: Path | None,
    as_json: bool,
    form: Format,
) -> None:
    """Find what is wrong on this real server or director; change nothing.

    Checks modules, devices, addresses, sysctls, firewall, routes and counters, asks the network
    whether another host has a VIP, and pings through the tunnels to measure the path MTU. Exit
    status: 0 nothing is wrong, 3 something is, 1 the checks could not run.
    """
    from lvsctl.doctor.facts import Role  # noqa: PLC0415 - loads the kernel's libraries
    from lvsctl.doctor.main import document, examine  # noqa: PLC0415
    from lvsctl.doctor.roles import Options  # noqa: PLC0415

    options = Options(
        role=None if role is None else Role(role),
        state_dir=state_dir,
        director_state_dir=director_state_dir,
        vips=vips,
        tunnels=tunnels,
        address=address[-1] if address else None,
        directors=directors,
        clients=clients,
        url=url or local_address(),
        token=token_of(token_file),
    )
    answer = document(examine(options))
    show(answer, Format.JSON if as_json else form, lambda: _told(answer))
    click.get_current_context().exit(FOUND_SOMETHING if answer["findings"] else 0)


def _told(answer: Json) -> str:
    count = len(answer["findings"])
    roles = " and ".join(answer["roles"])
    found = f"{count} finding{'s' * (count > 1)}" if count else "nothing is wrong"
    return sections(
        f"{answer['host']} as {roles}: {found}",
        *map(_finding, answer["findings"]),
        _paths(answer["paths"]),
        "\n".join(f"not checked: {cell(each)}" for each in answer["not_looked"]),
    )


def _finding(found: Json) -> str:
    return "\n".join(
        [
            f"{found['severity']}: {cell(found['what'])}",
            f"  why:  {cell(found['why'])}",
            f"  fix:  {cell(found['cure'])}",
        ]
    )


def _paths(paths: Json) -> str:
    if not paths:
        return ""
    return columns(
        ("PATH TO", "TUNNEL", "CARRIES", "DEVICE TAKES", "SENDER IS TOLD"),
        (
            (
                each["to"],
                each["tunnel"] or "none",
                f"{each['bytes']} bytes",
                f"{each['device']} bytes",
                [f"{told['mtu']} by {told['by']}" for told in each["told"]],
            )
            for each in paths
        ),
    )
