"""The command ``lvsctl``. Subcommands are loaded on demand."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click

from lvsctl.errors import InvalidInput, LvsctlError


@dataclass(frozen=True, slots=True)
class Entry:
    """A subcommand that is loaded on demand.

    Attributes:
        module: Its module in lvsctl.cli.
        name: Its attribute there.
        summary: One line for the list of commands.
    """

    module: str
    name: str
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "director": Entry("director", "director", "Run the director."),
    "agent": Entry(
        "agent", "agent", "Run the agent on a real server; list, show and remove agents."
    ),
    "store": Entry("store", "store", "Move the farm between a file and etcd."),
    "apply": Entry("farm", "apply", "Make the farm match a file."),
    "diff": Entry("farm", "diff", "Show what apply would change."),
    "history": Entry("history", "history", "Show who changed the farm and when."),
    "rollback": Entry("history", "rollback", "Make the farm what it was at a revision."),
    "export": Entry("farm", "export", "Print the farm as a farm file."),
    "status": Entry("kernel", "status", "Show the state of the director, services and agents."),
    "service": Entry("service", "service", "List, show and change services; adopt them."),
    "pool": Entry("pool", "pool", "List, show and change pools."),
    "server": Entry("server", "server", "List, show and change real servers; drain them."),
    "tunnel": Entry("tunnel", "tunnel", "Add and remove tunnels between this host and another."),
    "table": Entry("kernel", "table", "Show the kernel's IPVS table."),
    "plan": Entry("kernel", "plan", "Show how the kernel differs from the desired state."),
    "connections": Entry("connections", "connections", "List the connections in the kernel."),
    "explain": Entry("connections", "explain", "Say which real server a connection goes to."),
    "token": Entry("token", "token", "Create, list, rotate and revoke tokens."),
    "audit": Entry("audit", "audit", "Show who changed what, and who was refused."),
    "watch": Entry("watch", "watch", "Show events, live."),
    "doctor": Entry("doctor", "doctor", "Find what is wrong on this host."),
    "pause": Entry("mode", "pause", "Stop writing to the kernel."),
    "resume": Entry("mode", "resume", "Write to the kernel again."),
}


class Failure(click.ClickException):
    """An LvsctlError on the command line. Exit status 1."""

    def show(self, file: object = None) -> None:  # noqa: ARG002 - always standard error
        """Print it."""
        click.echo(self.message, err=True)


class LazyGroup(click.Group):
    """A group that loads a subcommand only to call it, not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the subcommands, in the usual order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a subcommand."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(f"lvsctl.cli.{entry.module}"), entry.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the subcommands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a subcommand; an LvsctlError ends it with a message and without a traceback."""
        try:
            return super().invoke(ctx)
        except InvalidInput as error:
            raise Failure(str(error)) from error  # each line already starts with its location
        except LvsctlError as error:
            raise Failure(f"lvsctl: {error}") from error


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 success, 1 failure, 2 usage error, 3 something found (diff, doctor).",
)
@click.version_option(package_name="lvsctl")
def lvsctl() -> None:
    """Run web farms behind Linux Virtual Server in IP-tunnel mode."""


def main() -> None:
    """Run the command line and end the process."""
    sys.exit(lvsctl(prog_name="lvsctl"))
