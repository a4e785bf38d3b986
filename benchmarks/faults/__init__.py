"""The faults, a file each; ``python -m benchmarks.faults`` is the process that injects and heals a trial's."""
