"""Shared options: the director's address, the output format, and parsers of values."""

import functools
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from lvsctl.cli.output import Format
from lvsctl.client.address import LOCAL_ADDRESS, local_address
from lvsctl.times import parse_duration
from lvsctl.token_file import read_token

if TYPE_CHECKING:
    from lvsctl.cli.client import DirectorClient

P = ParamSpec("P")
T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])
Callback = Callable[[click.Context, click.Parameter, Any], Any]

MAX_PORT = 65535


def prints(command: Command) -> Command:
    """Add the option for the output format to a command, as ``form``."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice([str(form) for form in Format]),
        default=str(Format.TABLE),
        callback=lambda _, __, name: Format(name),
        show_default=True,
        help="Output format; JSON is stable, for scripts.",
    )(command)


def asks_director(
    command: Callable[Concatenate["DirectorClient", P], None],
) -> Callable[..., None]:
    """Add options for the director and the output format to a command, and pass it a client."""

    @functools.wraps(command)
    def asking(*args: P.args, **kwargs: P.kwargs) -> None:
        url, token_file = kwargs.pop("url"), kwargs.pop("token_file")
        with closing(_client(url, token_file, kwargs.pop("ca_file"))) as client:
            command(client, *args, **kwargs)

    to_whom = click.option(
        "--url",
        envvar="LVSCTL_URL",
        show_envvar=True,
        help="URL of the director's REST API, or unix:PATH.  [UNIX socket of the director on this "
        "host]",
    )
    with_what = click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        envvar="LVSCTL_TOKEN_FILE",
        help="File with the bearer token; LVSCTL_TOKEN overrides it.",
    )
    trusting = click.option(
        "--ca-file",
        type=click.Path(path_type=Path),
        envvar="LVSCTL_CA_FILE",
        help="Certificate authority of the director, for https (PEM).  [public ones]",
    )
    return prints(to_whom(with_what(trusting(asking))))


def _client(url: Any, token_file: Any, ca_file: Any) -> "DirectorClient":  # noqa: ANN401 - or None
    from lvsctl.cli.client import DirectorClient  # noqa: PLC0415 - httpx takes 0.1 s to load

    address = url or local_address() or LOCAL_ADDRESS
    return DirectorClient(address, token_of(token_file), click.get_current_context().obj, ca_file)


def token_of(path: Path | None) -> str | None:
    """Return the token from LVSCTL_TOKEN, else from a file; None without both.

    Raises:
        ConfigurationError: The file holds no token, or others can read it.
    """
    return os.environ.get("LVSCTL_TOKEN") or (None if path is None else read_token(path))


def read_by(read: Callable[[str], object]) -> Callback:
    """Return the callback of an option whose text is parsed by a function.

    Args:
        read: Raises ValueError with a message for a person.
    """

    def callback(ctx: click.Context, param: click.Parameter, text: str | None) -> object:
        try:
            return None if text is None else read(str(text))
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


def duration(text: str) -> str:
    """Validate a duration, and return it unchanged."""
    parse_duration(text)
    return text


def number(text: str) -> int:
    """Parse an integer, decimal or with 0x."""
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def host_and_port(text: str) -> tuple[str, int]:
    """Split ``127.0.0.1:8080`` or ``[::1]:8080``."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
        raise ValueError(f"{text!r} is not an address with a port, like 127.0.0.1:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)
