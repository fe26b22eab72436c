"""A real server that is set up by hand, as an operator without an agent does."""

from deploy.lab.node import Node

SYSCTLS = {
    "all.arp_ignore": 1,
    "all.arp_announce": 2,
    "all.rp_filter": 0,
    "tunl0.rp_filter": 0,
}


def set_up_by_hand(server: Node, *vips: str) -> None:
    """Have a host take packets for IPv4 VIPs over ipip."""
    for name, value in SYSCTLS.items():
        server.write_sysctl(f"net.ipv4.conf.{name}", value)
    server.set_link("tunl0", up=True)
    for vip in vips:
        server.add_address("tunl0", f"{vip}/32")
