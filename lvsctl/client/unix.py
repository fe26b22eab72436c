"""HTTP over a director's UNIX socket."""

import ssl

import httpx

from lvsctl.client.address import socket_of


def base_url_of(address: str) -> str:
    """Return the base URL of requests to an address."""
    return address if socket_of(address) is None else "http://localhost"


def unix_transport(address: str) -> httpx.HTTPTransport | None:
    """Return a transport for ``unix:PATH``; None for any other address."""
    path = socket_of(address)
    if path is None:
        return None
    no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx's default takes 30 ms to load
    return httpx.HTTPTransport(verify=no_certificates, uds=path)
