"""From evidence to verdict. Everything here reads a folder and computes; it opens no socket and runs no load.

The two judges are loaded when first asked for, so that the process that makes the load can put a verdict into words
(``reports.judging.text``) without pandas.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.judging.suite import judge_suite
    from reports.judging.trial import judge

__all__ = ["judge", "judge_suite"]


def __getattr__(name: str) -> Any:
    if name == "judge":
        from reports.judging.trial import judge

        return judge
    if name == "judge_suite":
        from reports.judging.suite import judge_suite

        return judge_suite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
