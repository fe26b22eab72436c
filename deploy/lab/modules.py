"""The kernel modules that the lab needs."""

import subprocess

from deploy.lab.errors import LabError

MODULES = (
    *("ipv6", "veth", "bridge", "dummy", "sch_netem"),
    *("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_sh", "ip_vs_mh"),
    *("ipip", "ip_gre", "sit", "ip6_tunnel", "ip6_gre", "fou"),
)


def load_modules() -> None:
    """Load them all, before the first node is made: with ipip loaded, a new one has a tunl0.

    Raises:
        LabError: This kernel lacks one.
    """
    done = subprocess.run(["modprobe", "-a", *MODULES], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"this kernel cannot be the lab's: {done.stderr.strip()}")
