"""Loading kernel modules."""

import contextlib
import subprocess


def load_module(module: str) -> None:
    """Ask for a module; whether it came is seen by whether what it brings is there.

    It may be built in, or loaded by somebody outside a container that has no modprobe.
    """
    with contextlib.suppress(OSError):
        subprocess.run(["modprobe", "-q", module], check=False, capture_output=True)
