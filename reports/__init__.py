"""Evidence in, verdict and pictures out. Pure: opens no socket; the one process it starts is itself, to judge apart."""

from reports.apart import judge_apart
from reports.judging.text import describe

__all__ = ["describe", "judge_apart"]
