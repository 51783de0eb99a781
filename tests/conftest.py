"""How all tests draw their examples."""

from hypothesis import HealthCheck, settings

# a busy machine may take seconds for an example that takes a millisecond: that is no failure
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
