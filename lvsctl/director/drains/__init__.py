"""Drains: deadlines, and the remaining connections of draining servers."""
