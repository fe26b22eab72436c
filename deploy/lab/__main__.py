"""The lab's command line: `python -m deploy.lab`."""

import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import termios
import tty
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from deploy.lab.errors import LabError
from deploy.lab.guest import LAB_BUILD, Guest, Machine, job_script, unused_cpu
from deploy.lab.native import run_natively
from deploy.lab.shares import write_down
from deploy.lab.testrun import run_tests
from deploy.lab.up import run_demonstration, run_scene

memory_option = click.option(
    "--memory", default="1G", show_default=True, help="A guest's memory; it bounds its files too."
)
cpu_option = click.option(
    "--cpu", type=int, help="The processor to pin it to.  [default: one without a guest]"
)


@click.group()
def lab() -> None:
    """A Linux kernel of its own, to run lvsctl and its tests in."""
    signal.signal(signal.SIGTERM, _leave)
    # A shell without job control has its jobs in the background ignore it, and theirs inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@lab.command("exec")
@memory_option
@cpu_option
@click.option("--time-limit", type=float, default=600, show_default=True, help="In seconds.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder that it sees as /out.")
@click.option(
    "--native", is_flag=True, help="In namespaces of this kernel, not in a guest; also LAB=native."
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(
    command: tuple[str, ...],
    *,
    memory: str,
    cpu: int | None,
    time_limit: float,
    out: Path | None,
    native: bool,
) -> None:
    """Run COMMAND as the guest's root, in the checkout."""
    native = native or os.environ.get("LAB") == "native"
    with contextlib.ExitStack() as stack:
        out = out or stack.enter_context(_fresh_out("exec"))
        if native:
            job = job_script(command, {"LAB": "native", "LAB_OUT": str(out.resolve())})
            sys.exit(run_natively(job, out, time_limit))
        job = job_script(command, {"LAB": "guest"})
        pinned_to = stack.enter_context(_cpu(cpu))
        guest = stack.enter_context(Guest(job, out, Machine(pinned_to, memory)))
        sys.exit(guest.wait(time_limit))


@lab.command()
@memory_option
@cpu_option
@click.option("--port", default=8080, show_default=True, help="Of 127.0.0.1, for lb1's port 8080.")
def up(*, memory: str, cpu: int | None, port: int) -> None:
    """Boot the farm and stay: its director can be reached from this host."""
    with _cpu(cpu) as pinned_to, _fresh_out("up") as out:
        sys.exit(run_scene(out, pinned_to, memory, port, show=False))


@lab.command()
@memory_option
@cpu_option
@click.option("--port", default=8080, show_default=True, help="Of 127.0.0.1, for lb1's port 8080.")
def demo(*, memory: str, cpu: int | None, port: int) -> None:
    """Show the farm at work; at a terminal it then stays, as with `up`."""
    with _cpu(cpu) as pinned_to, _fresh_out("demo") as out:
        if sys.stdout.isatty():
            sys.exit(run_scene(out, pinned_to, memory, port, show=True))
        sys.exit(run_demonstration(out, pinned_to, memory))


@lab.command()
@memory_option
@cpu_option
def shell(*, memory: str, cpu: int | None) -> None:
    """Open a shell in a guest; it ends with the shell."""
    _interact(["bash"], cpu, memory)


@lab.command(context_settings={"ignore_unknown_options": True})
@click.option("--memory", default="1G", show_default=True, help="Each guest's memory.")
@click.option("--guests", default=2, show_default=True, help="How many at once.")
@click.option("--time-limit", type=float, default=840, show_default=True, help="In seconds.")
@click.option("--results", type=click.Path(path_type=Path), help="What the guests leave goes here.")
@click.option("--coverage", is_flag=True, help="Measure it; the data is left with the results.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(
    arguments: tuple[str, ...],
    *,
    memory: str,
    guests: int,
    time_limit: float,
    results: Path | None,
    coverage: bool,
) -> None:
    """Run the tests that need the lab's kernel; ARGUMENTS are pytest's."""
    with contextlib.ExitStack() as stack:
        status = run_tests(
            arguments,
            results=results or stack.enter_context(_fresh_out("test", r"guest\d+")),
            guests=guests,
            memory=memory,
            time_limit_s=time_limit,
            coverage=coverage,
        )
        sys.exit(status)


@lab.command()
def durations() -> None:
    """Write down what each test took here, so that others' guests are all busy for as long."""
    write_down()


@lab.command(context_settings={"ignore_unknown_options": True})
@memory_option
@cpu_option
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def retest(arguments: tuple[str, ...], *, memory: str, cpu: int | None) -> None:
    """Run pytest with ARGUMENTS in a guest that stays, for quick runs after each edit."""
    _interact(["python", "-m", "deploy.lab.rerun", *arguments], cpu, memory)


def _interact(command: Sequence[str], cpu: int | None, memory: str) -> NoReturn:
    """Run a command in a guest at a terminal of its own, connected to this one."""
    if not sys.stdin.isatty():
        raise LabError("this needs a terminal; without one: python -m deploy.lab exec -- CMD")
    columns, lines = os.get_terminal_size()
    script = f'stty columns {columns} rows {lines}; exec "$@"'
    job = job_script(["sh", "-c", script, "sh", *command], {"LAB": "guest"})
    with (
        _cpu(cpu) as pinned_to,
        _fresh_out("terminal") as out,
        _raw_terminal(),
        Guest(job, out, Machine(pinned_to, memory), terminal=True) as guest,
    ):
        sys.exit(guest.wait())


@contextlib.contextmanager
def _cpu(given: int | None) -> Iterator[int]:
    """Use the processor that was asked for, or one without a guest."""
    with contextlib.nullcontext(given) if given is not None else unused_cpu() as cpu:
        yield cpu


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Hand on each key as it is typed, Ctrl-C among them: the guest has a terminal of its own."""
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _fresh_out(name: str, uninteresting: str = "rc|console[.]log") -> Iterator[Path]:
    """Make a folder for /out; after a success, remove it if there is nothing else in it."""
    LAB_BUILD.mkdir(parents=True, exist_ok=True)
    out = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=LAB_BUILD))
    try:
        yield out
    except SystemExit as end:
        if end.code == 0 and all(re.fullmatch(uninteresting, path.name) for path in out.iterdir()):
            shutil.rmtree(out)
        raise


def _leave(signal_number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    try:
        lab(prog_name="python -m deploy.lab")
    except LabError as error:
        sys.exit(f"lab: {error}")
