"""Probes, one module per protocol.

Each is an ``async def probe(request, target, timeout_s) -> Outcome`` that never raises because of
the network, the server or this host's limits.
"""
