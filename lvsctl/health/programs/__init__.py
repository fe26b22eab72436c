"""Runs the programs of health checks, in a process and under a user of its own.

The director holds capabilities and must not fork programs; it sends orders over a UNIX socket.
What is here needs the standard library only, so that the service is small and starts at once.
"""
