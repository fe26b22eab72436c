"""Control plane for Linux Virtual Server in IP-tunnel mode."""
