"""Health checks: probes of real servers, their verdicts, and the resulting weights.

Verdicts, weights, marks and paths are pure. Which probes a farm needs is decided in
``director/checks``.
"""
