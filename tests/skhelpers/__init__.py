"""Helpers of the tests, with tests of their own in tests/project/test_helpers.py."""
