"""The REST surface of the director."""
