"""The target app as real uvicorn worker processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from flashbench.catalogue import ROOT
from flashbench.services.child import Child, StartFailedError, free_port, wait_until
from flashbench.services.model import StackRequest
from flashbench.services.unprivileged import dies_with_parent

_directly = build_opener(ProxyHandler({}))  # whatever proxy the environment names, this is about loopback

ENDED_BY_ITSELF = "ended-by-itself"  # a file among its workers' metrics: it was not killed
READY_LIMIT_S = 30
DATABASE_START_S = 3600  # as long as the longest load: a worker that gives up makes uvicorn end all the others
HEALTHCHECK_LIMIT_S = 120  # longer than any fault: uvicorn kills a worker that is silent for so long


class PluginRefusedError(Exception):
    """The app runs, but will not be ready: its own sentence says why."""


def start_app(
    request: StackRequest,
    *,
    database_url: str,
    redis_url: str,
    admin_token: str,
    metrics: Path,
    failpoints: Path | None,
    logs: Path,
    check: Callable[[], None],
) -> tuple[Child, str]:
    """Start the workers and wait until each has said that it is ready. Returns the child and the base URL."""
    port = request.app_port or free_port()
    if request.app_port and not _port_is_free(request.app_port):
        raise PluginRefusedError(
            f"port {request.app_port} is in use: name another with --port, or 0 for any that is free."
        )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TARGET_APP_")},
        "TARGET_APP_DATABASE_URL": database_url,
        "TARGET_APP_REDIS_URL": redis_url,
        "TARGET_APP_ADMIN_TOKEN": admin_token,
        "TARGET_APP_STRATEGIES": json.dumps(request.plugins),
        "TARGET_APP_DATABASE_START_S": str(DATABASE_START_S),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        **({"TARGET_APP_FAILPOINTS": str(failpoints)} if failpoints is not None else {}),
        **request.app_environment,
    }
    app = Child(
        "the app",
        [
            *(sys.executable, "-m", "flashbench.services.watchful_uvicorn", "target_app.app:create_app", "--factory"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", str(request.app_workers)),
            *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
            *("--timeout-worker-healthcheck", str(HEALTHCHECK_LIMIT_S), "--timeout-graceful-shutdown", "3"),
            *("--backlog", "4096", "--app-dir", request.app_folder or str(ROOT)),
        ],
        log=logs / "app.log",
        before_exec=dies_with_parent(signal.SIGTERM),
        stop_signals=[(signal.SIGTERM, 8.0)],
        environment=environment,
        working_directory=logs,
    )
    base_url = f"http://127.0.0.1:{port}"
    ready: set[int] = set()

    def all_ready() -> bool:
        app.expect_running()
        ready.update(ready_workers(base_url, 2 * request.app_workers))
        return len(ready) >= request.app_workers

    try:
        wait_until(all_ready, check, limit_s=READY_LIMIT_S, what=f"the app's workers to be ready:\n{app.tail()}")
    except StartFailedError as failure:
        app.stop()
        raise StartFailedError(f"{failure}\n{app.tail()}") from None
    except BaseException:
        app.stop()
        raise
    return app, base_url


def ready_workers(base_url: str, asked: int, limit_s: float = 5.0) -> set[int]:
    """The workers that say that they are ready, of so many asked; each may take any of the questions.

    PluginRefusedError if one never will be.
    """
    return set().union(*(_ready_worker(base_url, limit_s) for _ in range(asked)))


def _ready_worker(base_url: str, limit_s: float) -> set[int]:
    """The worker that answered, on a new connection, if it is ready."""
    try:
        with _directly.open(f"{base_url}/readyz", timeout=limit_s) as answer:
            return {int(json.load(answer)["worker"])}
    except HTTPError as error:
        refusal = _permanent(error)
        if refusal is not None:
            raise PluginRefusedError(refusal) from None
    except (OSError, HTTPException, ValueError):  # nobody answered, or not to the end
        pass
    return set()


def _permanent(error: HTTPError) -> str | None:
    """Why a worker will never be ready; None if it may yet be."""
    with suppress(OSError, HTTPException, ValueError):
        problem = json.load(error)
        return str(problem["detail"]) if problem.get("permanent") else None
    return None


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
