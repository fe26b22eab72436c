"""One probe: a question to one real server, and how it ended.

Each kind is an ``async def probe(request, target, timeout_s) -> Outcome`` that never raises for
what a network, a server or this host's own limits can do to it.
"""
