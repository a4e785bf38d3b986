"""Runs suites of trials, and says what the harness itself costs."""
