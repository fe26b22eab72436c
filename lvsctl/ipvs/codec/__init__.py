"""Encodes and decodes the netlink messages of the family ``IPVS``, without a socket."""
