"""Opens the IPVS backend of the option ``--ipvs``."""

from lvsctl.errors import ConfigurationError, KernelLacks
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.ipvsadm import IpvsadmIpvs
from lvsctl.ipvs.memory import MemoryIpvs
from lvsctl.ipvs.netlink import NetlinkIpvs

CHOICES = ("auto", "netlink", "ipvsadm", "memory")


def open_ipvs(choice: str = "auto") -> Ipvs:
    """Open the IPVS table of the calling thread's network namespace.

    Args:
        choice: One of :data:`CHOICES`; ``auto`` takes netlink if it can be used, else ipvsadm.

    Raises:
        KernelLacks: The backend cannot be used; says why, and the cure.
        ConfigurationError: The choice is unknown.
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
    except KernelLacks as netlink_error:
        try:
            return IpvsadmIpvs()
        except KernelLacks as ipvsadm_error:
            reasons = dict.fromkeys([str(netlink_error), str(ipvsadm_error)])
            raise KernelLacks("; ".join(reasons)) from netlink_error
