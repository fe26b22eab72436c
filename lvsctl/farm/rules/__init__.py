"""Rules that a farm must satisfy before it is stored.

One module per part of the farm; a rule is a generator of problems.
"""
