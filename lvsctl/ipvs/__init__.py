"""The kernel's IPVS table behind one Protocol: netlink, ipvsadm, memory."""
