"""``lvsctl director``: the director daemon."""

from datetime import datetime
from pathlib import Path
from typing import Unpack

import click

from lvsctl.cli.config_file import reads_config
from lvsctl.cli.options import host_and_port, read_by
from lvsctl.cli.store import StoreOptions, location, store_options
from lvsctl.errors import ConfigurationError
from lvsctl.times import parse_duration, parse_moment


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
    help="Address of the REST API over TCP.",
)
@click.option(
    "--host-name",
    "host_names",
    metavar="NAME",
    multiple=True,
    envvar="LVSCTL_HOST_NAME",
    help="DNS name of that address, such as lb1.example.com; repeat for several. Requests for "
    "other names are refused.",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/lvsctl",
    envvar="LVSCTL_STATE_DIR",
    show_default=True,
    help="Folder of the farm and other persistent state.",
)
@click.option(
    "--ipvs",
    type=click.Choice(["auto", "netlink", "ipvsadm", "memory"]),
    default="auto",
    envvar="LVSCTL_IPVS",
    show_default=True,
    help="Interface to the kernel; memory simulates it, to try out lvsctl.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_TOKEN_FILE",
    help="File with one token for everybody; it is accepted only with --shared-token-until.",
)
@click.option(
    "--shared-token-until",
    metavar="DATE",
    callback=read_by(parse_moment),
    envvar="LVSCTL_SHARED_TOKEN_UNTIL",
    help="Accept the token in --token-file until this date, in UTC. It gives everybody every "
    "right: create tokens instead (lvsctl token create).",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_CERTIFICATE",
    help="Serve TLS with this certificate (PEM, with its chain); SIGHUP loads it again.  [plain "
    "HTTP]",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_KEY",
    help="Private key of --certificate (PEM); no other user may read it.",
)
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_SOCKET",
    help="UNIX socket for root, without a token.  [director.sock in /run/lvsctl under systemd, "
    "else in --state-dir]",
)
@click.option(
    "--observe",
    is_flag=True,
    envvar="LVSCTL_OBSERVE",
    help="Observe and plan, but write nothing to the kernel.",
)
@click.option(
    "--take-sysctls",
    is_flag=True,
    envvar="LVSCTL_TAKE_SYSCTLS",
    help="Write IPVS sysctls even if they affect virtual services that lvsctl does not manage.",
)
@click.option(
    "--exec-dir",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_EXEC_DIR",
    help="Folder, owned by root, of the programs that health checks may run; without it or "
    "--exec-socket they run none.",
)
@click.option(
    "--exec-socket",
    type=click.Path(path_type=Path),
    envvar="LVSCTL_EXEC_SOCKET",
    help="Socket of lvsctl-exec, which runs the programs as a separate user; replaces --exec-dir.",
)
@store_options
@click.option(
    "--restore-farm",
    metavar="CODE",
    help="Once: replace the contents of a store that was not accepted by the farm that this "
    "director applied last. CODE is in lvsctl status, /readyz and the log.",
)
@click.option(
    "--accept-new-farm",
    metavar="CODE",
    help="Once: accept the contents of that store; services that are missing from it are removed.",
)
@click.option(
    "--history-age",
    metavar="DURATION",
    callback=read_by(parse_duration),
    default="90d",
    envvar="LVSCTL_HISTORY_AGE",
    show_default=True,
    help="Forget older entries of the farm's history; the farm itself is not affected.",
)
@click.option(
    "--history-commits",
    type=click.IntRange(min=1),
    default=10_000,
    envvar="LVSCTL_HISTORY_COMMITS",
    show_default=True,
    help="Keep at most this many entries of the farm's history.",
)
@click.option(
    "--name", default="", envvar="LVSCTL_NAME", help="Name of this director.  [host name]"
)
@reads_config
def run(
    listen: tuple[str, int],
    state_dir: Path,
    ipvs: str,
    token_file: Path | None,
    name: str,
    *,
    shared_token_until: datetime | None,
    certificate: Path | None,
    key: Path | None,
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
    **options: Unpack[StoreOptions],
) -> None:
    """Run the director until SIGTERM.

    The kernel keeps forwarding after that, and the next start takes over its table.
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
        shared_token_until=shared_token_until,
        certificate=certificate,
        key=key,
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
        store=location(options),
    )
    try:
        status = run_director(config)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"a director needs {error.name}: pip install 'lvsctl[director]'"
        ) from error
    click.get_current_context().exit(status)
