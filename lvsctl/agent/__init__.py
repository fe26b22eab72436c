"""The real server's side: the tunnel device, the VIPs and the sysctls, kept as assigned."""
