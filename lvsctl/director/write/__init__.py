"""Writes to the farm: edits, the checks that they must pass, and the commit."""
