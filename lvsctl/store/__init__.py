"""Persistence: the farm (shared by directors), and this director's own state and events.

This package has the interfaces, their implementations on disk and in memory, and the format of
stored values. Which changes are valid is decided elsewhere: a store refuses a commit only if it is
based on another state than the store's.
"""
