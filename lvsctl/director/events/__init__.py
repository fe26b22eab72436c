"""Events: derived from cycles and commits, stored, and streamed to clients."""
