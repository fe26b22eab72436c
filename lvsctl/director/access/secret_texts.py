"""Making and hashing what clients show."""

import secrets
from hashlib import sha256

PREFIX = "lvsctl_"
"""So that a scanner for leaked secrets, or a person, knows what it is."""
RANDOM_BYTES = 32


def new_secret_text() -> str:
    """Return a text that nobody can guess: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def digest(text: str) -> bytes:
    """Return what is stored of such a text."""
    return sha256(text.encode()).digest()
