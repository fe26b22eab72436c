"""``lvsctl-exec``: the program service, started by systemd or by a director."""

import argparse
import os
import pwd
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from lvsctl.errors import ConfigurationError, LvsctlError
from lvsctl.health.programs.processes import end_with_parent, own_cgroup
from lvsctl.health.programs.run import ProgramFolder
from lvsctl.health.programs.service import Service


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the listening UNIX socket on standard input until SIGTERM."""
    options = _parser().parse_args(arguments)
    try:
        listener = _standard_input()
        service = Service(listener, _folder(options), {0, os.geteuid(), *options.caller})
        if options.parent is not None:
            end_with_parent(options.parent)
    except LvsctlError as error:
        sys.exit(f"lvsctl-exec: {error}")
    service.serve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lvsctl-exec", description="Runs the programs of a director's health checks."
    )
    parser.add_argument(
        "--exec-dir", type=Path, required=True, help="folder with the programs, owned by root"
    )
    parser.add_argument(
        "--caller",
        type=_user,
        action="append",
        default=[],
        help="user besides root that may connect",
    )
    parser.add_argument("--run-as", type=_user, help="user that programs run as  [this one]")
    parser.add_argument(
        "--delegated", action="store_true", help="give each program a cgroup; needs Delegate=yes"
    )
    parser.add_argument("--owner", type=_user, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    return parser


def _user(text: str) -> int:
    try:
        return int(text) if text.isdecimal() else pwd.getpwnam(text).pw_uid
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"there is no user {text}") from error


def _group_of(user: int) -> int:
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return user


def _folder(options: argparse.Namespace) -> ProgramFolder:
    group = None if options.run_as is None else _group_of(options.run_as)
    cgroups = own_cgroup() if options.delegated else None
    if options.delegated and cgroups is None:
        raise ConfigurationError("--delegated: this process is not in a cgroup v2; leave it out")
    return ProgramFolder(options.exec_dir, options.run_as, group, options.owner, cgroups)


def _standard_input() -> socket.socket:
    """Take the socket from standard input, and replace that by /dev/null."""
    cure = "start it with: systemctl start lvsctl-exec.socket"
    try:
        listener = socket.socket(fileno=os.dup(0))
        is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigurationError(f"standard input is not a socket; {cure}") from error
    if not is_listening:
        raise ConfigurationError(f"standard input is not a listening socket; {cure}")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return listener


if __name__ == "__main__":
    main()
