"""The kernel's IPVS table behind one Protocol, implemented with netlink, ipvsadm and in memory."""
