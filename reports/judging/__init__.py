"""From evidence to verdict. Everything here reads a folder and computes; it opens no socket and runs no load."""

from reports.judging.suite import judge_suite
from reports.judging.trial import judge

__all__ = ["judge", "judge_suite"]
