"""Evidence in, verdict and pictures out. Pure: opens no socket; the one process it starts is itself, to judge apart."""

from reports.apart import judge_apart

__all__ = ["judge_apart"]
