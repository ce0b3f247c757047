"""Root of the tests: the plugin under test, whether or not it is installed, and pytest's own plugin tester."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["streamkit.pytest_plugin", "pytester"]

# Machines are shared and slow at times: no test of a property may depend on the clock.
settings.register_profile("streamkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("streamkit")
