"""Hostile requests against a director that is a process, again and again."""

import socket

from tests.support.director_process import TOKEN, DirectorProcess
from tests.support.hostile_requests import exchange, hostile_requests

ANSWERS_WITHIN_S = 60


def play_round(director: DirectorProcess) -> None:
    """Send each hostile request once; each must be answered as it should be."""
    for request in hostile_requests():
        where = (director.host, director.port)
        with socket.create_connection(where, ANSWERS_WITHIN_S) as connection:
            assert request.status == exchange(connection, request, TOKEN).status, request
