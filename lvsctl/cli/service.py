"""``lvsctl service``: the farm's services."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lvsctl.cli.changes import declaration, merge_patch, show_written, unset_by
from lvsctl.cli.options import asks_director, duration, number, read_by
from lvsctl.cli.output import Format, Json, columns, fields, sections, show

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient

Command = TypeVar("Command", bound=Callable[..., Any])

HEADINGS = ("NAME", "VIP", "PROTOCOL", "PORTS", "SCHEDULER", "POOL", "STATE", "REASON")


def ports(text: str) -> list[int]:
    """Parse ``80,443``."""
    return [number(port) for port in text.split(",")]


def flags(text: str) -> list[str]:
    """Parse ``mh-fallback,mh-port``, or ``none``."""
    return [] if text == "none" else [flag.strip() for flag in text.split(",")]


def persistence(text: str) -> dict[str, Json]:
    """Parse ``300s/24`` or ``300s``."""
    timeout, slash, netmask = text.partition("/")
    return {"timeout": duration(timeout)} | ({"netmask": number(netmask)} if slash else {})


def declares(command: Command) -> Command:
    """Add the options that declare a service to a command."""
    for option in (
        click.option(
            "--persistence",
            metavar="TIME[/NETMASK]",
            callback=read_by(unset_by("none", persistence)),
            help="Timeout and size of client networks, like 300s or 300s/24; or none.",
        ),
        click.option(
            "--flags",
            metavar="FLAGS",
            callback=read_by(unset_by("default", flags)),
            help="Scheduler flags, like mh-fallback,mh-port; none, or default for its defaults.",
        ),
        click.option("--scheduler", help="Scheduler, as in ipvsadm(8), like wlc."),
        click.option("--pool", help="Pool that serves it."),
        click.option(
            "--fwmark",
            metavar="MARK",
            callback=read_by(unset_by("none", number)),
            help="Firewall mark, instead of protocol and ports; or none.",
        ),
        click.option(
            "--ports",
            metavar="PORTS",
            callback=read_by(unset_by("none", ports)),
            help="Ports, like 80,443; or none.",
        ),
        click.option(
            "--protocol",
            callback=read_by(unset_by("none", str)),
            help="tcp, udp or sctp; none with --fwmark.",
        ),
        click.option("--vip", help="Virtual IP address."),
    ):
        command = option(command)
    return command


@click.group()
def service() -> None:
    """List, show and change services; adopt them."""


@service.command("list")
@asks_director
def list_(client: "DirectorClient", form: Format) -> None:
    """List the services."""
    answer = client.get("v1", "services").document
    show(answer, form, lambda: columns(HEADINGS, map(_row, answer["services"])))


@service.command("show")
@click.argument("name")
@asks_director
def show_(client: "DirectorClient", name: str, form: Format) -> None:
    """Show a service and its destinations."""
    answer = client.get("v1", "services", name).document
    show(answer, form, lambda: _details(answer))


@service.command()
@click.argument("name")
@declares
@asks_director
def add(client: "DirectorClient", /, name: str, form: Format, **options: object) -> None:
    """Add a service."""
    answer = client.create("v1", "services", name, body=declaration(options)).document
    show_written(answer, form)


@service.command("set")
@click.argument("name")
@declares
@asks_director
def set_(client: "DirectorClient", /, name: str, form: Format, **options: object) -> None:
    """Change a service's given options, in place."""
    patch = merge_patch(options)
    answer = client.patch("v1", "services", name, body=patch).document
    show_written(answer, form)


@service.command()
@click.argument("name")
@asks_director
def remove(client: "DirectorClient", name: str, form: Format) -> None:
    """Remove a service."""
    answer = client.delete("v1", "services", name).document
    show_written(answer, form)


@service.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Adopt for every service of the farm.")
@click.option("--force", is_flag=True, help="Adopt even if that removes destinations.")
@asks_director
def adopt(
    client: "DirectorClient",
    name: str | None,
    form: Format,
    *,
    everything: bool,
    force: bool,
) -> None:
    """Take over existing virtual services that lvsctl did not create.

    They are edited in place to match the farm, without losing connections.
    """
    if (name is None) is not everything:
        raise click.UsageError("give the name of a service, or --all")
    path = ("services", name, "adopt") if name else ("adopt",)
    answer = client.post("v1", *path, parameters={"force": "true"} if force else {}).document
    show(answer, form, lambda: "\n".join(answer["adopted"]) or "nothing to adopt")


def _row(service: Json) -> tuple[object, ...]:
    return (
        service["name"],
        service["vip"],
        service.get("protocol"),
        _ports(service),
        service["scheduler"],
        service["pool"],
        service["status"]["state"],
        service["status"]["reason"],
    )


def _ports(service: Json) -> object:
    return f"fwmark {service['fwmark']}" if "fwmark" in service else service.get("ports")


def _details(service: Json) -> str:
    persistence = service.get("persistence")
    status = service["status"]
    return sections(
        fields(
            [
                ("name", service["name"]),
                ("vip", service["vip"]),
                ("protocol", service.get("protocol")),
                ("ports", _ports(service)),
                ("scheduler", service["scheduler"]),
                ("flags", service.get("flags", "default")),
                (
                    "persistence",
                    persistence and f"{persistence['timeout']}/{persistence['netmask']}",
                ),
                ("pool", service["pool"]),
                ("state", status["state"]),
                ("reason", status["reason"]),
                *_health_fields(service),
            ]
        ),
        columns(
            ("VIRTUAL SERVICE", "STATE", "REASON"),
            ((key["key"], key["state"], key["reason"]) for key in status["keys"]),
        ),
        columns(
            ("REAL SERVER", "ADDRESS", "HEALTH", "TUNNEL", "WEIGHT", "REASON"),
            (
                (
                    each["server"],
                    each["address"],
                    each["health"],
                    each["tunnel"],
                    each["weight"],
                    each["reason"],
                )
                for each in status["destinations"]
            ),
        ),
    )


def _health_fields(service: Json) -> Sequence[tuple[str, object]]:
    """Return fields for exceptional states of the pool's health."""
    health = service["status"]["health"] or {}
    withdrawn = "; the VIP is withdrawn from this director" if health.get("withdrawn") else ""
    lost_quorum = health.get("lost_quorum")
    said = (
        ("sorry server", service.get("sorry_server")),
        ("serves", health.get("sorry") and "the sorry server alone"),
        ("panic", health.get("panic")),
        ("quorum", lost_quorum and f"{lost_quorum}{withdrawn}"),
    )
    return [(name, text) for name, text in said if text]
