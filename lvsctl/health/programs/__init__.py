"""The service that runs the programs of exec checks, in its own process under its own user.

The director has capabilities and must not fork programs itself; it sends orders over a UNIX
socket. Only the standard library is used, so the service is small and starts at once.
"""
