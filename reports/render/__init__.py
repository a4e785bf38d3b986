"""Laying a summary out: plots, a page, a page for CI, and JSON."""
