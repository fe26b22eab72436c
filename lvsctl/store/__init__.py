"""What outlives the director: the farm (shared), and this director's own state and events.

Here belong the interfaces of both, their implementations on a disk and in memory, and the form in
which values are kept. What a change of the farm may be is decided elsewhere: a store refuses only
what was judged by another state than its own.
"""
