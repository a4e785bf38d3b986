"""Evidence in, verdict and pictures out. Pure: opens no socket; the one process it starts is itself, to judge apart."""

from reports.apart import Judge
from reports.judging.text import describe

__all__ = ["Judge", "describe"]
