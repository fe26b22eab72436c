"""Configuration file of the daemons: TOML, with flags as keys."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def reads_config(command: Command) -> Command:
    """Add ``--config`` to a command; precedence: flag, environment, file."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        envvar="LVSCTL_CONFIG",
        is_eager=True,
        expose_value=False,
        callback=_apply,
        help="TOML file with these flags as keys. Flags and environment variables override it.",
    )(command)


def _apply(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", ctx, param) from error
    except ValueError as error:
        raise click.BadParameter(f"{path}: {error}", ctx, param) from error
    flags = {_key(option): option for option in _options(ctx) if option is not param}
    ctx.default_map = {}
    for key, value in values.items():
        if key not in flags:
            allowed = ", ".join(sorted(flags))
            raise click.BadParameter(f"{path}: unknown key {key!r}; allowed: {allowed}", ctx, param)
        ctx.default_map[str(flags[key].name)] = _checked(ctx, param, path, flags[key], value)


def _checked(
    ctx: click.Context, param: click.Parameter, path: Path, option: click.Option, value: object
) -> object:
    expected = bool if option.is_flag else list if option.multiple else (str, int)
    kind = type(value).__name__
    if not isinstance(value, expected) or (isinstance(value, bool) and not option.is_flag):
        raise click.BadParameter(f"{path}: {_key(option)} cannot be of type {kind}", ctx, param)
    try:
        option.process_value(ctx, value)
    except click.BadParameter as error:
        raise click.BadParameter(f"{path}: {_key(option)}: {error.message}", ctx, param) from error
    return value


def _options(ctx: click.Context) -> list[click.Option]:
    return [each for each in ctx.command.params if isinstance(each, click.Option)]


def _key(option: click.Option) -> str:
    return max(option.opts, key=len).removeprefix("--")
