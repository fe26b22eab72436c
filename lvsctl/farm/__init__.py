"""The domain: the declared farm, its run-time status, and the IPVS table they compile to. Pure.

Values, rules and compilation belong here; nothing that reads a disk, a clock or a kernel.
"""
