"""``lvsctl agent``: the daemon on a real server, and the agents known to a director."""

import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lvsctl.agent.config import DEFAULT_STATE_DIR, DEFAULT_WEIGHT
from lvsctl.cli.changes import show_written
from lvsctl.cli.config_file import reads_config
from lvsctl.cli.options import asks_director, duration, prints, read_by
from lvsctl.cli.output import Format, Json, columns, fields, sections, show
from lvsctl.net import IPAddress
from lvsctl.times import parse_duration

if TYPE_CHECKING:
    from lvsctl.agent.status import AgentStatus
    from lvsctl.cli.client import DirectorClient

authority = click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_CA_FILE",
    help="Certificate authority of the directors, for https (PEM).  [public ones]",
)
state_folder = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT_STATE_DIR,
    envvar="LVSCTL_STATE_DIR",
    show_default=True,
    help="Folder of the agent's persistent state.",
)


@click.group()
def agent() -> None:
    """Run the agent on a real server; list, show and remove agents."""


@agent.command()
@click.option(
    "--director",
    "directors",
    multiple=True,
    required=True,
    envvar="LVSCTL_DIRECTOR",
    help="URL of a director's REST API; repeat for several, which are tried in turn.",
)
@click.option(
    "--pool",
    "pools",
    multiple=True,
    envvar="LVSCTL_POOL",
    help="Pool to join; repeat for several. Without one the host gets point-to-point tunnels only.",
)
@click.option("--name", envvar="LVSCTL_NAME", help="Name of this real server.  [host name]")
@click.option(
    "--address",
    metavar="ADDRESS",
    callback=read_by(ipaddress.ip_address),
    envvar="LVSCTL_ADDRESS",
    help="Real server address (RIP), where tunnelled packets are sent.  [the source address "
    "towards the director]",
)
@click.option(
    "--weight",
    type=int,
    default=DEFAULT_WEIGHT,
    envvar="LVSCTL_WEIGHT",
    show_default=True,
    help="Weight in pools that do not declare the address.",
)
@state_folder
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_TOKEN_FILE",
    help="File with the agent's token.  [the credential from lvsctl agent join]",
)
@authority
@reads_config
def run(
    *,
    directors: tuple[str, ...],
    ca_file: Path | None,
    pools: tuple[str, ...],
    name: str | None,
    address: IPAddress | None,
    weight: int,
    state_dir: Path,
    token_file: Path | None,
) -> None:
    """Run the agent until SIGTERM.

    The host keeps serving after that; to take it out of the farm, use lvsctl agent leave.
    """
    from lvsctl.agent.config import AgentConfig  # noqa: PLC0415
    from lvsctl.agent.main import run as run_agent  # noqa: PLC0415 - loads the kernel's libraries

    config = AgentConfig(
        directors=directors,
        pools=pools,
        name=name or socket.gethostname(),
        address=address,
        weight=weight,
        state_dir=state_dir,
        token_file=token_file,
        ca_file=ca_file,
    )
    click.get_current_context().exit(run_agent(config))


@agent.command()
@click.option(
    "--director",
    "directors",
    multiple=True,
    required=True,
    envvar="LVSCTL_DIRECTOR",
    help="URL of a director's REST API; repeat for several, which are tried in turn.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    required=True,
    envvar="LVSCTL_TOKEN_FILE",
    help="File with a token to join: lvsctl token create --pool POOL, on the director.",
)
@click.option("--name", envvar="LVSCTL_NAME", help="Name of this real server.  [host name]")
@click.option(
    "--address",
    metavar="ADDRESS",
    callback=read_by(ipaddress.ip_address),
    envvar="LVSCTL_ADDRESS",
    help="Real server address (RIP).  [the source address towards the director]",
)
@authority
@state_folder
def join(
    *,
    directors: tuple[str, ...],
    token_file: Path,
    ca_file: Path | None,
    name: str | None,
    address: IPAddress | None,
    state_dir: Path,
) -> None:
    """Get a credential for this real server's agent, once.

    It is kept in the state folder, and lvsctl agent run without --token-file uses and renews it.
    """
    from lvsctl.agent.config import AgentConfig  # noqa: PLC0415
    from lvsctl.agent.joining import join as join_farm  # noqa: PLC0415 - loads httpx

    config = AgentConfig(
        directors=directors,
        pools=(),
        name=name or socket.gethostname(),
        address=address,
        state_dir=state_dir,
        ca_file=ca_file,
    )
    kept = join_farm(config, token_file)
    click.echo(f"credential kept in {kept}" if kept else "this agent has a credential already")


@agent.command()
@click.option(
    "--deadline",
    metavar="TIME",
    callback=read_by(duration),
    default="30s",
    show_default=True,
    help="Time for connections to end.",
)
@click.option("--force", is_flag=True, help="Restore the host even if no director confirms.")
@state_folder
def leave(deadline: str, state_dir: Path, *, force: bool) -> None:
    """Leave all pools and restore this host.

    First the director drains this real server. If it does not confirm that, the host stays as it
    is and the exit status is 1.
    """
    from lvsctl.agent.main import last_config  # noqa: PLC0415
    from lvsctl.agent.main import leave as leave_pools  # noqa: PLC0415 - as in run
    from lvsctl.privileges import act_for  # noqa: PLC0415

    act_for(state_dir)
    config = last_config(state_dir)
    left = leave_pools(config, parse_duration(deadline), force=force, say=click.echo)
    click.get_current_context().exit(left)


@agent.command("status")
@state_folder
@prints
def status(state_dir: Path, form: Format) -> None:
    """Show the state of this host's agent, running or not."""
    from lvsctl.agent.status import status as read_status  # noqa: PLC0415 - as in run

    answer = _status_document(read_status(state_dir))
    show(answer, form, lambda: _status(answer))


@agent.command("list")
@asks_director
def list_(client: "DirectorClient", form: Format) -> None:
    """List the agents known to the director."""
    headings = ("NAME", "ADDRESS", "POOLS", "MEMBERSHIP", "LAST REPORT", "FINDINGS")
    answer = client.get("v1", "agents").document
    show(answer, form, lambda: columns(headings, map(_row, answer["agents"])))


@agent.command("show")
@click.argument("name")
@asks_director
def show_(client: "DirectorClient", name: str, form: Format) -> None:
    """Show an agent: what is ready, what is pending, and its findings."""
    answer = client.get("v1", "agents", name).document
    show(answer, form, lambda: _details(answer))


@agent.command()
@click.argument("name")
@asks_director
def remove(client: "DirectorClient", name: str, form: Format) -> None:
    """Remove an agent from the director; a running agent joins again."""
    answer = client.delete("v1", "agents", name).document
    show_written(answer, form)


@agent.command()
@click.argument("name")
@asks_director
def revoke(client: "DirectorClient", name: str, form: Format) -> None:
    """Revoke an agent's credential: its server keeps serving and gets nothing new."""
    found = client.get("v1", "tokens", name).document
    if found["role"] != "agent":
        raise click.ClickException(
            f"the token {name} is not an agent's, it has the role {found['role']}; to revoke it: "
            f"lvsctl token revoke {name}"
        )
    show_written(client.delete("v1", "tokens", name).document, form)


def _row(agent: Json) -> tuple[object, ...]:
    return (
        agent["name"],
        agent["address"],
        agent["pools"],
        agent["membership"],
        f"{agent['age']} ago" if agent["age"] else None,
        len(agent["findings"]),
    )


def _details(agent: Json) -> str:
    return sections(
        fields(
            [
                ("name", agent["name"]),
                ("address", agent["address"]),
                ("pools", agent["pools"]),
                ("weight", agent["weight"]),
                ("membership", agent["membership"]),
                ("last report", f"{agent['age']} ago" if agent["age"] else None),
                ("connections", agent["connections"]),
                ("accepts", agent["accepts"]),
                ("ready", [_readiness(each) for each in agent["ready"]]),
                ("awaited", [_readiness(each) for each in agent["awaited"]]),
            ]
        ),
        _findings(agent["findings"]),
    )


def _readiness(each: Json) -> str:
    return f"{each['vip']} over {each['tunnel']}"


def _findings(findings: Json) -> str:
    if not findings:
        return ""
    return columns(
        ("AT", "SEVERITY", "SUBJECT", "DETAIL", "CURE"),
        (
            (each["at"], each["severity"], each["subject"], each["detail"], each["cure"])
            for each in findings
        ),
    )


def _status_document(status: "AgentStatus") -> Json:
    from lvsctl.messages.documents import (  # noqa: PLC0415 - as in run
        assignment_document,
        registration_document,
        report_document,
    )

    return {
        "name": status.name,
        "running": status.process is not None,
        "process": status.process,
        "leaving": status.leaving,
        "registration": registration_document(status.registration),
        "assignments": [assignment_document(each) for each in status.assignments],
        "report": report_document(status.report),
        "director": {
            "url": status.contact.director,
            "at": status.contact.at,
            "problem": status.contact.problem,
        },
    }


def _status(answer: Json) -> str:
    registration, report, contact = answer["registration"], answer["report"], answer["director"]
    return sections(
        fields(
            [
                ("name", answer["name"]),
                ("running", f"process {answer['process']}" if answer["running"] else "no"),
                ("address", registration["address"]),
                ("pools", registration["pools"]),
                ("membership", "leaving" if answer["leaving"] else registration["membership"]),
                ("director", contact["url"]),
                ("last answer", contact["at"]),
                ("problem", contact["problem"]),
                ("VIPs", [vip for each in answer["assignments"] for vip in each["vips"]]),
                ("ready", report["ready"]),
            ]
        ),
        _findings(report["findings"]),
    )
