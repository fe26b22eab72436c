"""Drains: deadlines, and how connections of drained servers become fewer."""
