"""Messages between director and agent: values and their strict codec.

Both sides import this package and nothing of each other.
"""
