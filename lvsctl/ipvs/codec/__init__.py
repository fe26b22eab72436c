"""Netlink messages of the kernel's IPVS table: bytes to values and back, without a socket."""
