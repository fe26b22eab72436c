"""What director and agent say to each other: the values and their strict codec.

Both sides import this room and nothing of each other.
"""
