"""What people declare, what is known at run time, and the table that both compile to. Pure.

Values, rules and compilation belong here; nothing that reads a disk, a clock or a kernel.
"""
