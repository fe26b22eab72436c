"""Memory that forks cheaply in a guest. To be imported before anything large.

User-mode Linux has a mapping on the host for each run of a process's pages that are neighbours in
the guest's memory too. A process that takes its pages one by one, while it reads files, has nearly
as many runs as pages, and all are copied whenever it forks or starts a program. As many come about
when, beside a child, the garbage collector marks all objects and thereby copies their pages.
"""

import ctypes
import gc
import os

_MCL_FUTURE = 2
_libc = ctypes.CDLL(None)


def everything_is_loaded() -> None:
    """Leave what is there where it is; from now on memory comes as usual.

    Else a thread would get all of its stack at once.
    """
    gc.collect()
    gc.freeze()
    _libc.munlockall()


if os.environ.get("LAB") == "guest":
    _libc.mlockall(_MCL_FUTURE)  # What is mapped from now on gets all its pages, side by side.
