"""The HTTP server in front of the app: sockets, connections, and limits on clients.

It serves everybody who can reach the port, with or without a token, so everything that a client can
use up is bounded: descriptors, memory, time. The meaning of requests belongs in the app.
"""
