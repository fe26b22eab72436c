"""The lab's command line: `python -m deploy.lab`."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from deploy.lab.errors import LabError
from deploy.lab.guest import LAB_BUILD, Guest, Machine, job_script, unused_cpu
from deploy.lab.native import run_natively
from deploy.lab.testrun import run_tests


@click.group()
def lab() -> None:
    """A Linux kernel of its own, to run lvsctl and its tests in."""
    signal.signal(signal.SIGTERM, _leave)


@lab.command("exec")
@click.option(
    "--memory", default="1G", show_default=True, help="The guest's memory; bounds its files too."
)
@click.option("--cpu", type=int, help="The processor to pin it to.  [default: one without a guest]")
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
    job = job_script(command, {"LAB": "native" if native else "guest"})
    with contextlib.ExitStack() as stack:
        out = out or stack.enter_context(_fresh_out("exec"))
        if native:
            script = stack.enter_context(tempfile.NamedTemporaryFile("w", prefix="lvsctl-lab-"))
            script.write(job)
            script.flush()
            sys.exit(run_natively(Path(script.name), out, time_limit))
        cpu = stack.enter_context(unused_cpu()) if cpu is None else cpu
        guest = stack.enter_context(Guest(job, out, Machine(cpu, memory)))
        sys.exit(guest.wait(time_limit))


@lab.command(context_settings={"ignore_unknown_options": True})
@click.option("--memory", default="1G", show_default=True, help="Each guest's memory.")
@click.option("--guests", default=2, show_default=True, help="How many at once.")
@click.option("--time-limit", type=float, default=840, show_default=True, help="In seconds.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...], *, memory: str, guests: int, time_limit: float) -> None:
    """Run the tests that need the lab's kernel; ARGUMENTS are pytest's."""
    sys.exit(run_tests(arguments, guests=guests, memory=memory, time_limit_s=time_limit))


@contextlib.contextmanager
def _fresh_out(name: str) -> Iterator[Path]:
    """Make a folder for /out, and remove it after a success that left nothing of interest in it."""
    LAB_BUILD.mkdir(parents=True, exist_ok=True)
    out = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=LAB_BUILD))
    try:
        yield out
    except SystemExit as end:
        if end.code == 0 and {path.name for path in out.iterdir()} <= {"rc", "console.log"}:
            shutil.rmtree(out)
        raise


def _leave(signal_number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    try:
        lab(prog_name="python -m deploy.lab")
    except LabError as error:
        sys.exit(f"lab: {error}")
