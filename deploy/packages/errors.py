"""Errors of building packages."""


class BuildError(Exception):
    """A package could not be built; the text names the thing, the cause and the cure."""
