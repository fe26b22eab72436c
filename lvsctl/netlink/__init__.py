"""Generic netlink: the messages as bytes, and a socket that sends them."""
