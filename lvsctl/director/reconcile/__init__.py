"""One cycle: observe the kernel, decide what should be, write what differs, in this order.

``observation`` reads, ``decision`` compares (pure), ``phases`` writes and ``outcome`` says what
became of it; nothing else writes the director's kernel. A setting of the whole network namespace
is another ``settings.Target``; a way to place VIPs belongs in ``director.vips``; what a service
should be is compiled in ``farm``.
"""
