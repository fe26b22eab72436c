"""VIPs on this director: where each goes, duplicates, and telling the neighbours.

Which VIPs are wanted and which are served is decided in ``reconcile``; a new way to place them is
another implementation of ``interface.VipPlacement``, named in ``placements``.
"""
