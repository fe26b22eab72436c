"""What outlives the director: the farm (shared) and this director's own state."""
