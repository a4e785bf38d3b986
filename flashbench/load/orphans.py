"""Forked workers end with the process that forked them, whenever and however that ends.

Locust's own worker waits five minutes for a master that never answers, and one minute for one that fell silent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

import gevent

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_forks_with_parent() -> None:
    """On Linux the kernel tells a fork of its parent's death, by the signal that Locust takes for an orderly end."""
    if sys.platform == "linux":
        os.register_at_fork(after_in_child=lambda: ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM)))


def watch_parent(runner: Any) -> None:
    """Elsewhere a worker has to look for itself."""
    if sys.platform != "linux":
        gevent.spawn(_quit_with_parent, runner, os.getppid())


def _quit_with_parent(runner: Any, parent: int) -> None:
    while os.getppid() == parent:
        gevent.sleep(0.5)
    runner.quit()
