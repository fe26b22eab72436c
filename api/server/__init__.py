"""How HTTP reaches the app: sockets, connections, and what a client may take of this process.

Whoever can reach the port is served here, with or without a token, so everything that a client can
make grow has a bound: descriptors, bytes, time. What a request means is decided in the app.
"""
