"""The director daemon: what should be, what is, and the loop that makes them equal."""
