"""What holds for every test."""

from hypothesis import HealthCheck, settings

# Processors are shared with the lab's guests: how long an example takes says nothing of the code.
settings.register_profile("lvsctl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lvsctl")
