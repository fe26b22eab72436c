"""``lvsctl server``: the real servers of pools."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from lvsctl.cli.changes import declaration, merge_patch, show_written, unset_by
from lvsctl.cli.draining import wait_until_drained
from lvsctl.cli.options import asks_director, duration, number, read_by
from lvsctl.cli.output import Format, Json, columns, fields, sections, show
from lvsctl.cli.real_servers import change_override, only_pool_with, path_of, pools_with
from lvsctl.cli.tunnel_options import own_tunnel_options, tunnel_patch
from lvsctl.errors import Conflict

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient

APPLIED_WITHIN_S = 30
"""A drain reaches the kernel at once unless something is wrong."""

FIELDS = ("pool", "name", "address", "origin", "state", "health", "tunnel", "weight", "reason")

in_pool = click.option(
    "--pool", help="Pool of the server; needed if several have one of that name."
)
in_pools = click.option("--pool", help="Pool of the server.  [every pool that has it]")
reason_option = click.option("--reason", default="", help="Reason, shown in status.")
upper = click.option(
    "--upper-threshold", type=int, help="Connections above which it gets no new ones."
)
lower = click.option(
    "--lower-threshold", type=int, help="Connections below which it gets new ones again."
)


@click.group()
def server() -> None:
    """List, show and change real servers; drain them."""


@server.command("list")
@click.option("--pool", help="List this pool only.")
@asks_director
def list_(client: "DirectorClient", pool: str | None, form: Format) -> None:
    """List real servers by pool, declared and joined by agents."""
    found = client.get("v1", "pools", *([pool] if pool else [])).document
    servers = [
        {"pool": each["name"], **member}
        for each in ([found] if pool else found["pools"])
        for member in each["status"]["real_servers"]
    ]
    show({"real_servers": servers}, form, lambda: _listed(servers))


@server.command("show")
@click.argument("name")
@in_pool
@asks_director
def show_(client: "DirectorClient", name: str, pool: str | None, form: Format) -> None:
    """Show a real server: its declaration, its state in each service, and its agent."""
    home = pool or only_pool_with(client, name)
    answer = {"pool": home, **client.get(*path_of(home, name)).document}
    show(answer, form, lambda: _details(answer))


@server.command()
@click.argument("name")
@click.option("--pool", required=True, help="Pool to add it to.")
@click.option(
    "--address", required=True, help="Its address (RIP), where tunnelled packets are sent."
)
@click.option("--weight", type=int, help="0 to 65535; 0 gets no new connections.  [100]")
@upper
@lower
@own_tunnel_options
@asks_director
def add(
    client: "DirectorClient",
    /,
    name: str,
    pool: str,
    form: Format,
    **options: Any,  # noqa: ANN401 - each of its own type
) -> None:
    """Declare a real server in a pool."""
    body = declaration({"tunnel": tunnel_patch(options), **options})
    answer = client.create(*path_of(pool, name), body=body).document
    show_written(answer, form)


@server.command("set")
@click.argument("name")
@in_pool
@click.option("--address", help="Declared address.")
@click.option("--declared-weight", type=int, help="Declared weight.")
@upper
@lower
@own_tunnel_options
@click.option(
    "--state",
    type=click.Choice(["enabled", "draining", "disabled"]),
    help="At run time: draining keeps its connections, disabled removes it from the table.",
)
@click.option(
    "--weight",
    metavar="WEIGHT",
    callback=read_by(unset_by("declared", number)),
    help="At run time, overrides the declared weight; the word declared ends that.",
)
@reason_option
@click.option("--force", is_flag=True, help="Do it even if no other server serves.")
@asks_director
def set_(
    client: "DirectorClient",
    /,
    name: str,
    pool: str | None,
    form: Format,
    *,
    force: bool,
    **options: Any,  # noqa: ANN401 - each of its own type
) -> None:
    """Change a real server: its declaration, or its state at run time.

    Run-time settings (--state, --weight) survive lvsctl apply and the return of an agent.
    """
    reason, declared_weight = options.pop("reason"), options.pop("declared_weight")
    runtime = {field: options.pop(field) for field in ("state", "weight")}
    declared = {"tunnel": tunnel_patch(options), **options, "weight": declared_weight}
    if not _given(runtime):
        patch = merge_patch(declared)
        home = pool or only_pool_with(client, name)
        answer = client.patch(*path_of(home, name), body=patch)
    elif _given(declared):
        raise click.UsageError(
            "change the declaration and the run-time settings (--state, --weight) one after the "
            "other"
        )
    else:
        home = pool or only_pool_with(client, name)
        parameters = {"force": "true"} if force else {}
        answer = change_override(client, home, name, {**runtime, "reason": reason}, parameters)
    show_written(answer.document, form)


@server.command()
@click.argument("name")
@in_pool
@asks_director
def remove(client: "DirectorClient", name: str, pool: str | None, form: Format) -> None:
    """Remove a declared real server from its pool."""
    answer = client.delete(*path_of(pool or only_pool_with(client, name), name)).document
    show_written(answer, form)


@server.command()
@click.argument("name")
@in_pools
@reason_option
@click.option(
    "--deadline",
    callback=read_by(duration),
    metavar="TIME",
    help="Time for connections to end by themselves, like 60s.  [no limit]",
)
@click.option(
    "--cut/--keep",
    default=None,
    help="At the deadline, end remaining connections (default) or keep them.",
)
@click.option(
    "--wait", is_flag=True, help="Show progress until no connections remain, or the deadline."
)
@click.option("--force", is_flag=True, help="Drain it even if no other server serves.")
@asks_director
def drain(
    client: "DirectorClient",
    /,
    name: str,
    pool: str | None,
    form: Format,
    *,
    wait: bool,
    force: bool,
    **options: Any,  # noqa: ANN401 - each of its own type
) -> None:
    """Give a server no new connections, and keep the existing ones.

    At the deadline it is disabled, and its remaining clients can reconnect to another server at
    once. To end a drain at any time, use lvsctl server undrain.
    """
    cut, deadline = options["cut"], options["deadline"]
    if deadline is None and cut is not None:
        raise click.UsageError("--cut and --keep need a --deadline")
    changes = {
        "state": "draining",
        "reason": options["reason"],
        "deadline_in": deadline,
        "at_deadline": None if cut is None else ("cut" if cut else "keep"),
    }
    homes = [pool] if pool else [*pools_with(client, name)]
    answer = _override_everywhere(client, name, homes, changes, force=force, wait=wait)
    if not wait:
        show_written(answer, form)
        return
    if not answer["applied"]:
        raise Conflict(f"{name} is not yet drained in the kernel: {answer['reason']}")
    last = wait_until_drained(client, name, homes, lambda line: click.echo(line, err=True))
    show({"real_servers": last}, form, lambda: "\n".join(each["outcome"] for each in last))


@server.command()
@click.argument("name")
@in_pools
@asks_director
def undrain(client: "DirectorClient", name: str, pool: str | None, form: Format) -> None:
    """Enable a drained or disabled server again."""
    homes = [pool] if pool else [*pools_with(client, name)]
    show_written(_override_everywhere(client, name, homes, {"state": "enabled"}), form)


def _override_everywhere(
    client: "DirectorClient",
    name: str,
    pools: Sequence[str],
    changes: Mapping[str, object],
    *,
    force: bool = False,
    wait: bool = False,
) -> Json:
    """Change the override in all pools, and merge the answers."""
    parameters = ({"force": "true"} if force else {}) | (
        {"wait": str(APPLIED_WITHIN_S)} if wait else {}
    )
    answers = [change_override(client, home, name, changes, parameters).document for home in pools]
    waited = [answer for answer in answers if "applied" in answer]
    return {
        "revision": max(answer["revision"] for answer in answers),
        "changes": [each for answer in answers for each in answer["changes"]],
        "operations": [each for answer in answers for each in answer["operations"]],
        "applied": all(answer["applied"] for answer in waited),
        "reason": "; ".join(answer["reason"] for answer in waited if answer["reason"]),
    }


def _listed(servers: Sequence[Json]) -> str:
    headings = [field.upper() for field in FIELDS]
    return columns(headings, ([server[field] for field in FIELDS] for server in servers))


def _given(options: Mapping[str, object]) -> bool:
    return any(value is not None for value in options.values())


def _details(server: Json) -> str:
    status = server["status"]
    agent = status["agent"] or {}
    return sections(
        fields(
            [
                ("name", server["name"]),
                ("pool", server["pool"]),
                ("address", server["address"]),
                ("origin", status["origin"]),
                ("declared weight", server["weight"]),
                ("upper threshold", server["upper_threshold"]),
                ("lower threshold", server["lower_threshold"]),
                ("own tunnel", _tunnel(server.get("tunnel"))),
                ("state", status["state"]),
                ("reason", status["reason"]),
                *_drain_fields(status["drain"]),
                ("agent", agent.get("name")),
                ("membership", agent.get("membership")),
                ("last report", f"{agent['age']} ago" if agent.get("age") else None),
            ]
        ),
        columns(
            ("SERVICE", "TUNNEL", "WEIGHT", "REASON"),
            (
                (each["service"], each["tunnel"], each["weight"], each["reason"])
                for each in status["services"]
            ),
        ),
        _health(status["health"]),
    )


def _health(health: Sequence[Json]) -> str:
    """Format the state of each health check; empty without checks."""
    rows = [(of_vip["vip"], *_check(check)) for of_vip in health for check in of_vip["checks"]]
    if not rows:
        return ""
    return columns(("VIP", "CHECK", "PATH", "HEALTH", "SINCE", "LAST PROBE", "REASON"), rows)


def _check(check: Json) -> tuple[object, ...]:
    port = f":{check['port']}" if check["port"] else ""
    last = check["last"]
    took = f"{'passed' if last['passed'] else 'failed'} in {last['took_ms']} ms" if last else None
    frozen = f"probes do not count at present: {check['frozen']}" if check["frozen"] else ""
    return (
        f"{check['type']}{port}",
        check["through"],
        check["health"],
        check["since"],
        took,
        frozen or check["reason"],
    )


def _drain_fields(drain: Json) -> Sequence[tuple[str, object]]:
    if not drain:
        return ()
    return (
        ("connections", drain["connections"]),
        ("gone in", drain["gone_in"]),
        *(("warning", warning) for warning in drain["warnings"]),
    )


def _tunnel(declared: Json) -> str | None:
    """Format a declared tunnel."""
    if not declared:
        return None
    port = f":{declared['port']}" if "port" in declared else ""
    checksum = "+checksum" if declared.get("checksum") else ""
    mtu = f", MTU {declared['mtu']}" if "mtu" in declared else ""
    return f"{declared['type']}{port}{checksum}{mtu}"
