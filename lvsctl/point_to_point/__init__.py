"""Point-to-point tunnels: two hosts joined by IPIP or GRE, with a network of their own inside."""
