"""What keeps a guest from the host's files.

A guest's root can mount the host's file system writable from within, so what holds it are the
rights of the host's process that the guest is. An unprivileged user's guest has that user's rights.
Root's runs under bubblewrap: every file of the host read-only, /proc and /sys too, devices of its
own, no network and no capabilities. A new /proc would not do: its /proc/sys can be written.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.lab.errors import LabError

BUBBLEWRAP = "bubblewrap"  # the package; its program is bwrap


# Told by the kernel that its launcher was killed, the shell kills whatever it started: its own
# group of processes, and the session that linux.uml makes of its own. SIGTERM would not do, for
# linux.uml spins when nobody reads its console, and slirp4netns ends without its child.
_WITH_ITS_LAUNCHER = """trap 'kill -KILL -$!; kill -KILL 0' TERM; "$@" & wait $!"""


def with_its_launcher(command: Sequence[str]) -> list[str]:
    """Prefix a command so that it is killed when its launcher is, or when it is sent SIGTERM.

    It must be started as the first of a session.
    """
    return ["setpriv", "--pdeathsig=TERM", "sh", "-c", _WITH_ITS_LAUNCHER, "sh", *command]


def confined(command: Sequence[str], *, writable: Sequence[Path], info_fd: int) -> list[str]:
    """Prefix a guest's command so that it writes some folders only, and ends with its launcher.

    Args:
        command: The guest's kernel with its arguments.
        writable: The folders of the host that it may write.
        info_fd: Where bubblewrap is to write its process id, for `kernel_pid`.

    Raises:
        LabError: This is root, and bubblewrap is missing or cannot work here.
    """
    if os.geteuid() != 0:
        return with_its_launcher(command)
    _check_bubblewrap()
    return [*_bubblewrap(writable), "--info-fd", str(info_fd), *command]


def kernel_pid(launched: int, info: Path) -> int | None:
    """Find the process that is the guest's kernel, to which SIGTERM is an orderly halt.

    Args:
        launched: The process id of the confined command.
        info: What bubblewrap wrote to `info_fd`.

    Returns:
        None while there is none yet: the command has not come that far.
    """
    try:
        parent = launched
        if os.geteuid() == 0:
            parent = json.loads(info.read_text())["child-pid"]
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return int(children.split()[0])
    except (FileNotFoundError, json.JSONDecodeError, IndexError):
        return None


def _bubblewrap(writable: Sequence[Path]) -> list[str]:
    return [
        *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev"),
        *(word for path in writable for word in ("--bind", str(path), str(path))),
        *("--remount-ro", "/dev", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-net", "--cap-drop", "ALL", "--die-with-parent"),
    ]


def _check_bubblewrap() -> None:
    cure = "or run the lab as an unprivileged user"
    if shutil.which("bwrap") is None:
        raise LabError(
            "root's guest is confined by bwrap, which is missing: "
            f"apt-get install {BUBBLEWRAP}, {cure}"
        )
    done = subprocess.run([*_bubblewrap([]), "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(
            f"root's guest cannot be confined here ({done.stderr.strip()}): "
            f"allow mount and pid namespaces, {cure}"
        )
