"""The command ``lvsctl``. Each command's code is loaded when it is asked for."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click

from lvsctl.errors import InvalidInput, LvsctlError


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is not loaded yet.

    Attributes:
        module: Where it is, below lvsctl.cli.
        name: Of the object there.
        summary: One line for the list of commands.
    """

    module: str
    name: str
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "director": Entry("director", "director", "Run the director."),
    "agent": Entry("agent", "agent", "Run a real server's agent; list the agents."),
    "apply": Entry("farm", "apply", "Make the farm what a file says."),
    "diff": Entry("farm", "diff", "Show what a file would change."),
    "status": Entry("kernel", "status", "Show how everything stands."),
    "service": Entry("service", "service", "List, show and change services; adopt them."),
    "pool": Entry("pool", "pool", "List, show and change pools."),
    "server": Entry("server", "server", "List, show and change real servers; drain them."),
    "tunnel": Entry("tunnel", "tunnel", "Tunnels between this host and another."),
    "table": Entry("kernel", "table", "Show the kernel's IPVS table."),
    "plan": Entry("kernel", "plan", "Show what differs from what should be."),
    "watch": Entry("watch", "watch", "Show what happens, live."),
    "doctor": Entry("doctor", "doctor", "Say what is wrong on this host."),
    "pause": Entry("mode", "pause", "Keep hands off the kernel."),
    "resume": Entry("mode", "resume", "Write the kernel again."),
}


class Failure(click.ClickException):
    """An error of ours, as the command line shows it. Exit status 1."""

    def show(self, file: object = None) -> None:  # noqa: ARG002 - always the standard error
        """Print it."""
        click.echo(self.message, err=True)


class LazyGroup(click.Group):
    """A group that loads a command when it is called, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(f"lvsctl.cli.{entry.module}"), entry.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an error of ours ends it with a message and without a traceback."""
        try:
            return super().invoke(ctx)
        except InvalidInput as error:
            raise Failure(str(error)) from error  # each line has its place in front already
        except LvsctlError as error:
            raise Failure(f"lvsctl: {error}") from error


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 failed, 2 wrong use, 3 found something (diff, doctor).",
)
@click.version_option(package_name="lvsctl")
def lvsctl() -> None:
    """Run web farms behind Linux Virtual Server in IP-tunnel mode."""


def main() -> None:
    """Run the command line and end the process."""
    sys.exit(lvsctl(prog_name="lvsctl"))
