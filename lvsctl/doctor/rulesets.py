"""Reads the packet filters' rules with nft and iptables-save.

Only filters whose modules are loaded are read, as listing the rules of another would load it.
"""

import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from lvsctl.doctor.firewall import Table
from lvsctl.doctor.iptables import parse_iptables
from lvsctl.doctor.nft import parse_nft
from lvsctl.errors import MalformedMessage
from lvsctl.net import Family

_PROC = Path("/proc/thread-self/net")
_LEGACY = (
    (Family.IPV4, "ip_tables_names", ("iptables-legacy-save", "iptables-save")),
    (Family.IPV6, "ip6_tables_names", ("ip6tables-legacy-save", "ip6tables-save")),
)
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin"
_TIMEOUT_S = 30


def read_firewall(loaded: Collection[str]) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """Return the tables, and what could not be read and why.

    Args:
        loaded: Kernel modules that are loaded or built in.
    """
    tables: list[Table] = []
    unread: list[str] = []
    if "nf_tables" in loaded:
        _, text = _run(("nft",), ("-j", "list", "ruleset"))
        try:
            tables.extend(() if text is None else parse_nft(text))
        except MalformedMessage as error:
            unread.append(f"firewall: {error}")
        if text is None:
            unread.append("firewall: nf_tables is loaded, and there is no nft to read its rules")
    for family, names, programs in _LEGACY:
        if not _has_content(_PROC / names):
            continue
        program, text = _run(programs, ())
        if text is None:
            unread.append(f"firewall: {family} tables are there, and no {programs[0]} to read them")
        else:
            tables.extend(parse_iptables(text, family, program.removesuffix("-save")))
    return tuple(tables), tuple(unread)


def _run(programs: Sequence[str], arguments: Sequence[str]) -> tuple[str, str | None]:
    """Return the first installed program, and its output; None if it failed or none is there."""
    found = ((program, shutil.which(program, path=_PATH)) for program in programs)
    program, file = next((each for each in found if each[1]), ("", None))
    if file is None:
        return "", None
    try:
        done = subprocess.run(
            [file, *arguments],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return program, None
    return program, done.stdout if done.returncode == 0 else None


def _has_content(path: Path) -> bool:
    try:
        return bool(path.read_text().strip())
    except OSError:
        return False
