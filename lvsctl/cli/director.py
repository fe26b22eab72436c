"""``lvsctl director``: the daemon on the director."""

from pathlib import Path

import click

from lvsctl.cli.config_file import reads_config
from lvsctl.cli.options import host_and_port, read_by
from lvsctl.errors import ConfigurationError
from lvsctl.times import parse_duration


@click.group()
def director() -> None:
    """Run the director."""


@director.command()
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    callback=read_by(host_and_port),
    default="127.0.0.1:8080",
    envvar="LVSCTL_LISTEN",
    show_default=True,
    help="Address of the REST API, which needs --token-file.",
)
@click.option(
    "--host-name",
    "host_names",
    metavar="NAME",
    multiple=True,
    envvar="LVSCTL_HOST_NAME",
    help="A DNS name of that address, such as lb1.example.com; requests for others are refused.",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/lvsctl",
    envvar="LVSCTL_STATE_DIR",
    show_default=True,
    help="Where the farm is kept.",
)
@click.option(
    "--ipvs",
    type=click.Choice(["auto", "netlink", "ipvsadm", "memory"]),
    default="auto",
    envvar="LVSCTL_IPVS",
    show_default=True,
    help="How the kernel is reached; memory reaches none, for a look at lvsctl.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_TOKEN_FILE",
    help="Holds the token that every request must carry. Nobody else may read it.",
)
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_SOCKET",
    help="UNIX socket where root needs no token.  [director.sock in /run/lvsctl under systemd, "
    "else in --state-dir]",
)
@click.option(
    "--observe", is_flag=True, envvar="LVSCTL_OBSERVE", help="Look and plan, write nothing."
)
@click.option(
    "--take-sysctls",
    is_flag=True,
    envvar="LVSCTL_TAKE_SYSCTLS",
    help="Write the IPVS sysctls even where services that are not lvsctl's feel them.",
)
@click.option(
    "--exec-dir",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_EXEC_DIR",
    help="Folder of root's with the programs that health checks may run; without it they run none.",
)
@click.option(
    "--exec-socket",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_EXEC_SOCKET",
    help="Socket of lvsctl-exec, which runs them instead, under a user of its own.",
)
@click.option(
    "--restore-farm",
    metavar="CODE",
    help="Once: put the farm that this director applied last into the store that it does not "
    "follow. CODE is in /readyz, lvsctl status and the log.",
)
@click.option(
    "--accept-new-farm",
    metavar="CODE",
    help="Once: follow that store as it is; services that it lacks are removed.",
)
@click.option(
    "--history-age",
    metavar="DURATION",
    callback=read_by(parse_duration),
    default="90d",
    envvar="LVSCTL_HISTORY_AGE",
    show_default=True,
    help="Forget changes of the farm that are older; what they led to stays.",
)
@click.option(
    "--history-commits",
    type=click.IntRange(min=1),
    default=10_000,
    envvar="LVSCTL_HISTORY_COMMITS",
    show_default=True,
    help="Keep no more than this many of the latest changes of the farm.",
)
@click.option("--name", default="", envvar="LVSCTL_NAME", help="Of this director.  [the host's]")
@reads_config
def run(
    listen: tuple[str, int],
    state_dir: Path,
    ipvs: str,
    token_file: Path | None,
    name: str,
    *,
    host_names: tuple[str, ...],
    socket: Path | None,
    exec_dir: Path | None,
    exec_socket: Path | None,
    history_age: int,
    history_commits: int,
    observe: bool,
    take_sysctls: bool,
    restore_farm: str | None,
    accept_new_farm: str | None,
) -> None:
    """Run the director until SIGTERM.

    That leaves the kernel as it is, and the next start adopts it.
    """
    from lvsctl.director.main import DirectorConfig  # noqa: PLC0415 - loads the kernel's libraries
    from lvsctl.director.main import run as run_director  # noqa: PLC0415

    host, port = listen
    config = DirectorConfig(
        listen_host=host,
        listen_port=port,
        state_dir=state_dir,
        ipvs=ipvs,
        host_names=host_names,
        token_file=token_file,
        socket=socket,
        observe=observe,
        take_sysctls=take_sysctls,
        name=name,
        exec_dir=exec_dir,
        exec_socket=exec_socket,
        restore_farm=restore_farm,
        accept_new_farm=accept_new_farm,
        history_age_s=history_age,
        history_commits=history_commits,
    )
    try:
        status = run_director(config)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"a director needs {error.name}: pip install 'lvsctl[director]'"
        ) from error
    click.get_current_context().exit(status)
