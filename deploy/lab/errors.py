"""What can go wrong in the lab, one tree: LabError."""


class LabError(Exception):
    """Something of the lab could not be done; the text names the thing, the cause and the cure."""
