"""Choosing what drives the kernel's IPVS table."""

from lvsctl.errors import ConfigurationError, KernelLacks
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.ipvsadm import IpvsadmIpvs
from lvsctl.ipvs.memory import MemoryIpvs
from lvsctl.ipvs.netlink import NetlinkIpvs

CHOICES = ("auto", "netlink", "ipvsadm", "memory")


def open_ipvs(choice: str = "auto") -> Ipvs:
    """Open the IPVS table of the calling thread's network namespace.

    Args:
        choice: One of :data:`CHOICES`; ``auto`` takes netlink where it can be used, else ipvsadm.

    Raises:
        KernelLacks: What was asked for cannot be used; says why and what would help.
        ConfigurationError: There is no such choice.
    """
    match choice:
        case "auto":
            return _first_usable()
        case "netlink":
            return NetlinkIpvs()
        case "ipvsadm":
            return IpvsadmIpvs()
        case "memory":
            return MemoryIpvs()
        case _:
            raise ConfigurationError(f"--ipvs {choice!r} (allowed: {', '.join(CHOICES)})")


def _first_usable() -> Ipvs:
    try:
        return NetlinkIpvs()
    except KernelLacks as of_netlink:
        try:
            return IpvsadmIpvs()
        except KernelLacks as of_ipvsadm:
            reasons = dict.fromkeys([str(of_netlink), str(of_ipvsadm)])
            raise KernelLacks("; ".join(reasons)) from of_netlink
