"""Events: what is told of a cycle, kept, and given to those who watch."""
