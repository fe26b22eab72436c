"""Health checks: from the farm to probes, and from their outcomes to verdicts."""
