"""``lvsctl tunnel``: point-to-point tunnels of this host, without a director."""

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lvsctl.cli.options import number, prints, read_by
from lvsctl.cli.output import Format, Json, columns, fields, show
from lvsctl.errors import ConfigurationError, InvalidInput
from lvsctl.messages.model import TunnelEnd, TunnelMode
from lvsctl.net import IPAddress

if TYPE_CHECKING:
    from lvsctl.point_to_point.single_host import PingResult, SingleHost, TunnelStatus

IPInterface = IPv4Interface | IPv6Interface

DEFAULT_STATE_DIR = "/var/lib/lvsctl-tunnel"
_OPTIONS = {
    "link": "NAME",
    "local": "--local",
    "remote": "--remote",
    "device": "--dev",
    "addresses": "--address",
    "mode": "--mode",
    "key": "--key",
    "ttl": "--ttl",
    "mtu": "--mtu",
}

state_folder = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT_STATE_DIR,
    envvar="LVSCTL_TUNNEL_STATE_DIR",
    show_default=True,
    help="Folder with a record of the tunnels of this host.",
)


@click.group()
def tunnel() -> None:
    """Add and remove tunnels between this host and another.

    This is for single hosts without a director or agent. Tunnels between the hosts of two agents
    are declared in the section tunnels of the farm file (lvsctl apply), or with
    PUT /v1/tunnels/NAME.
    """
    from lvsctl.logs import configure_command_logging  # noqa: PLC0415 - structlog loads slowly

    configure_command_logging()


@tunnel.command()
@click.argument("name")
@click.option(
    "--mode",
    type=click.Choice([str(mode) for mode in TunnelMode]),
    required=True,
    help="ipip carries IPv4; gre IPv4 and IPv6; gretap Ethernet.",
)
@click.option(
    "--local",
    metavar="ADDRESS",
    callback=read_by(ipaddress.ip_address),
    required=True,
    help="Underlay address of this host.",
)
@click.option(
    "--remote",
    metavar="ADDRESS",
    callback=read_by(ipaddress.ip_address),
    required=True,
    help="Underlay address of the other host.",
)
@click.option("--dev", "device", help="Device that outer packets leave by.  [by route]")
@click.option(
    "--address",
    "addresses",
    metavar="ADDRESS/LENGTH",
    multiple=True,
    required=True,
    help="Address of this end inside the tunnel; repeat for several.",
)
@click.option(
    "--peer",
    metavar="ADDRESS",
    callback=read_by(ipaddress.ip_address),
    help="Address of the other end inside the tunnel, for list, show and ping.",
)
@click.option("--key", callback=read_by(number), help="Key of gre and gretap, in both directions.")
@click.option("--ttl", type=int, help="TTL of outer packets, 1 to 255.  [the inner packet's]")
@click.option("--mtu", type=int, help="MTU inside, in bytes.  [that of the underlay minus headers]")
@state_folder
@prints
def add(
    *,
    name: str,
    mode: str,
    local: IPAddress,
    remote: IPAddress,
    device: str | None,
    addresses: tuple[str, ...],
    peer: IPAddress | None,
    key: int | None,
    ttl: int | None,
    mtu: int | None,
    state_dir: Path,
    form: Format,
) -> None:
    """Add a tunnel to this host.

    An invalid tunnel is refused before anything changes. Adding the same tunnel again repairs it.
    """
    end = TunnelEnd(
        tunnel=name,
        link=name,
        mode=TunnelMode(mode),
        local=local,
        remote=remote,
        addresses=tuple(map(_interface, addresses)),
        peers=() if peer is None else (peer,),
        device=device,
        key=key,
        ttl=ttl,
        mtu=mtu,
    )
    with _opened(state_dir) as host:
        host.add(end)
        answer = _document(host.tunnel(name))
    show(answer, form, lambda: f"added tunnel {name}")


@tunnel.command()
@click.argument("name")
@state_folder
@prints
def remove(name: str, state_dir: Path, form: Format) -> None:
    """Remove a tunnel that was added here, with its addresses and routes."""
    with _opened(state_dir) as host:
        host.remove(name)
    show({"removed": name}, form, lambda: f"removed tunnel {name}")


@tunnel.command("list")
@state_folder
@prints
def list_(state_dir: Path, form: Format) -> None:
    """List the tunnels that were added here."""
    headings = ("NAME", "STATE", "MODE", "LOCAL", "REMOTE", "ADDRESSES", "MTU", "REASON")
    with _opened(state_dir) as host:
        found = host.tunnels()
    answer = {"tunnels": [_document(shown) for shown in _probe_peers(found)]}
    show(answer, form, lambda: columns(headings, map(_row, answer["tunnels"])))


@tunnel.command("show")
@click.argument("name")
@state_folder
@prints
def show_(name: str, state_dir: Path, form: Format) -> None:
    """Show a tunnel that was added here."""
    with _opened(state_dir) as host:
        found = host.tunnel(name)
    answer = _document(*_probe_peers([found]))
    show(answer, form, lambda: fields([(key, answer[key]) for key in answer]))


@tunnel.command()
@click.argument("name")
@click.argument("address", required=False, callback=read_by(ipaddress.ip_address))
@click.option("--count", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0.01, 60),
    default=0.2,
    show_default=True,
    help="Seconds between requests.",
)
@state_folder
@prints
def ping(
    *,
    name: str,
    address: IPAddress | None,
    count: int,
    interval_s: float,
    state_dir: Path,
    form: Format,
) -> None:
    """Ping the other end through the tunnel.

    ADDRESS defaults to the --peer given when the tunnel was added, else it is found by pinging
    the inner network. Exit status 1 if there is no answer.
    """
    from lvsctl.point_to_point.single_host import ping as ping_peer  # noqa: PLC0415 - see _opened

    with _opened(state_dir) as host:
        end = host.tunnel(name).end
    with _may_send(f"through {name}"):
        answers = ping_peer(end, address, count, interval_s)
    answer = _answers(name, answers)
    show(answer, form, lambda: _ping_line(answer))
    if answers.probes.lost == answers.probes.sent:
        click.get_current_context().exit(1)


@contextmanager
def _opened(state_dir: Path) -> Iterator["SingleHost"]:
    from lvsctl.point_to_point.single_host import opened  # noqa: PLC0415 - loads pyroute2

    try:
        with opened(state_dir) as host:
            yield host
    except InvalidInput as error:
        raise InvalidInput(
            [replace(problem, pointer=_option(problem.pointer)) for problem in error.problems]
        ) from error


def _probe_peers(shown: "Iterable[TunnelStatus]") -> "tuple[TunnelStatus, ...]":
    from lvsctl.point_to_point.single_host import asked  # noqa: PLC0415 - see _opened

    with _may_send("through a tunnel"):
        return asked(shown)


@contextmanager
def _may_send(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"cannot send an echo request {where}: {error.strerror}; run lvsctl as root"
        ) from error


def _option(pointer: str) -> str:
    field = pointer.removeprefix("/").partition("/")[0]
    return _OPTIONS.get(field, pointer)


def _interface(text: str) -> IPInterface:
    read: Callable[[str], IPInterface] = ipaddress.ip_interface
    try:
        interface = read(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--address") from error
    if "/" not in text:
        raise click.BadParameter(f"{text} has no prefix length: {text}/24?", param_hint="--address")
    return interface


def _document(shown: "TunnelStatus") -> Json:
    end = shown.end
    return {
        "name": end.link,
        "state": "up" if shown.up else "down",
        "reason": shown.reason,
        "mode": str(end.mode),
        "local": str(end.local),
        "remote": str(end.remote),
        "device": end.device,
        "addresses": [str(address) for address in end.addresses],
        "peer": str(end.peers[0]) if end.peers else None,
        "key": end.key,
        "ttl": end.ttl,
        "mtu": shown.mtu,
    }


def _row(answer: Json) -> tuple[object, ...]:
    names = ("name", "state", "mode", "local", "remote", "addresses", "mtu", "reason")
    return tuple(answer[name] or None for name in names)


def _answers(name: str, answers: "PingResult") -> Json:
    probes = answers.probes
    return {
        "name": name,
        "address": str(answers.peer),
        "sent": probes.sent,
        "received": probes.sent - probes.lost,
        "loss_percent": round(100 * probes.lost / probes.sent, 1),
        "round_trip_ms": None if probes.round_trip_us is None else probes.round_trip_us / 1000,
    }


def _ping_line(answer: Json) -> str:
    trip = answer["round_trip_ms"]
    mean = "" if trip is None else f", round trip {trip} ms on average"
    return (
        f"{answer['address']} through {answer['name']}: {answer['sent']} sent, "
        f"{answer['received']} answered, {answer['loss_percent']:g}% loss{mean}"
    )
