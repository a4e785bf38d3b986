"""uvicorn, whose parent process notices at once when a worker dies: ``python -m flashbench.services.watchful_uvicorn``.

The parent asks its workers in turn how they are, over pipes whose other ends it holds open itself. A worker that is
killed while it is asked leaves no end of file there: the parent then waits for the whole health-check limit, and starts
no worker again meanwhile. That limit has to be longer than any fault, so here the parent lets go of those ends.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from uvicorn.supervisors import multiprocess

from flashbench.services.app import ENDED_BY_ITSELF
from flashbench.services.unprivileged import dies_with_parent


class HeardProcess(multiprocess.Process):
    """A worker whose end is heard of, and which ends with its parent, whoever else does."""

    def target(self, sockets: list[socket] | None = None) -> Any:
        dies_with_parent()()
        return super().target(sockets)

    def start(self) -> None:
        super().start()
        self.child_conn.close()  # the worker has its own by now


def main() -> None:
    """As ``python -m uvicorn``; where its workers' metrics are kept, a file says afterwards that it ended by itself."""
    multiprocess.Process = HeardProcess  # type: ignore[misc]
    try:
        uvicorn.main()
    finally:
        if metrics := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            with suppress(OSError):  # nobody is left to ask
                Path(metrics, ENDED_BY_ITSELF).touch()


if __name__ == "__main__":
    main()
