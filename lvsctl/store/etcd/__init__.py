"""A farm that several directors share: a log of commits in etcd, a SQLite file as its replica.

Belongs here: what is asked of etcd, the keys under which the log lies, who follows it. Does not:
what a commit means (``lvsctl.store``), and who may write (``lvsctl.director``).
"""
