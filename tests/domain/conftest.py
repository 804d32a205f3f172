"""How much Hypothesis tries in the tests of pure rules: the same few examples in every run."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "domain",
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
