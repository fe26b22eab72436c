"""VIPs on this director: placement, duplicate detection, and announcements.

Which VIPs are wanted and which are served is decided in ``reconcile``; a new way to place them is
another implementation of ``interface.VipPlacement``, named in ``placements``.
"""
