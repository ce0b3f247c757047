"""Root of the tests: the plugin under test, whether or not it is installed, and pytest's own plugin tester."""

pytest_plugins = ["streamkit.pytest_plugin", "pytester"]
