"""One cycle: observe the kernel, compare it with what is desired, write what differs.

Nothing else writes the director's kernel.
"""
