"""What a farm must keep to before it is stored.

One module for each part of the farm; a rule is a generator of problems.
"""
