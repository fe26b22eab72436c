"""Without a guest: a job in namespaces of the host's own kernel, where that has ip_vs and ipip."""

import os
import subprocess
from pathlib import Path

from deploy.lab.errors import LabError

_PREPARE = """
mount -t sysfs sys /sys
mount -t tmpfs -o mode=755 run /run
mkdir /run/netns /run/lock
ip link set lo up
exec sh -c "$1"
"""


def run_natively(job: str, out: Path, time_limit_s: float) -> int:
    """Run a job as root in fresh namespaces of the host.

    Args:
        job: A shell script.
        out: The folder for what it leaves; the job is to be told.
        time_limit_s: How long it may take.

    Returns:
        The job's exit status.

    Raises:
        LabError: This is not root, or the job took too long.
    """
    if os.geteuid() != 0:
        raise LabError("LAB=native needs root: it makes namespaces of the host; or leave LAB unset")
    out.mkdir(parents=True, exist_ok=True)
    command = [
        *("unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child"),
        *("--mount-proc", "sh", "-euc", _PREPARE, "lab", job),
    ]
    try:
        return subprocess.run(command, timeout=time_limit_s, check=False).returncode
    except subprocess.TimeoutExpired:
        raise LabError(f"the job was not done after {time_limit_s:g} s: see {out}") from None
