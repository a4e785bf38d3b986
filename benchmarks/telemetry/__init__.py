"""Telemetry: what processes, stores and app do while a trial runs, ten times a second, a source a file.

``python -m benchmarks.telemetry PLAN`` is the process that samples; it accompanies a trial's load.
"""
