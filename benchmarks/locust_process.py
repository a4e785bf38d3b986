"""One trial as a Locust process: its command, its environment, its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.fault import scene_words
from benchmarks.plan import PlannedRun
from flashbench.services import StackInfo
from flashbench.services.child import free_port
from flashbench.services.unprivileged import dies_with_parent

COME_WITHIN_S = 60  # the processes of a load
JUDGE_LIMIT_S = 240.0  # for everything but the load: start, drain, rest, sealing, judging


class LocustProcess:
    """Runs in a group of its own, so that it gets a Ctrl-C only from us, and dies if we do."""

    def __init__(self, run: PlannedRun, stack: StackInfo, folder: Path, log: Path, briefing: Mapping[str, Any]) -> None:
        self._limit_s = run.scenario.run_time_s + JUDGE_LIMIT_S
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command(run, stack, folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_environment(run, stack), "FLASHBENCH_TRIAL": json.dumps(dict(briefing))},
                process_group=0,
                preexec_fn=dies_with_parent(),
            )

    def ended(self, wait_s: float) -> bool:
        """Wait a moment; True once the process has ended."""
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def limit_s(self) -> float:
        """How long it may take in all."""
        return self._limit_s

    def interrupt(self) -> None:
        """Ask it to end its load and judge what there is."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def command(run: PlannedRun, stack: StackInfo, folder: Path) -> list[str]:
    """The Locust command of a trial; anyone can run it by hand against ``flashbench serve``."""
    scenario, service = run.scenario, run.contender.service
    aim: dict[str, Any] = {"host": stack.base_url, "strategy": run.contender.plugin or run.contender.name}
    asked = {**scenario.parameters, "seed": run.seed}
    if service is not None:
        aim = {"host": service.host, "target": service.target_file}
        asked |= {} if service.idempotent else {"twin_share": 0}
    parameters = [
        part for name, value in {**aim, **asked}.items() for part in (f"--{name.replace('_', '-')}", str(value))
    ]
    processes = _processes(scenario.processes) if scenario.processes > 1 else []
    return [
        *(sys.executable, "-m", "locust", "-f", str(scenario.path), "--headless", "--only-summary"),
        *("-u", str(scenario.users), "-r", str(scenario.users), "-t", f"{scenario.run_time_s}s"),
        *("--evidence", str(folder), *parameters, *processes),
    ]


def _processes(count: int) -> list[str]:
    """A port of their own, since others may run on this machine; and a worker that never comes is not waited for."""
    port = str(free_port())
    master = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
    workers = ("--master-host", "127.0.0.1", "--master-port", port)
    return ["--processes", str(count), *master, *workers, "--expect-workers-max-wait", str(COME_WITHIN_S)]


def _environment(run: PlannedRun, stack: StackInfo) -> dict[str, str]:
    """The stack's secrets, or those of somebody else's service."""
    service = run.contender.service
    if service is None:
        return secrets_of(stack)
    return {"FLASHBENCH_DATABASE_URL": service.database_url or "", "FLASHBENCH_REDIS_URL": ""}


def secrets_of(stack: StackInfo) -> dict[str, str]:
    """What must not stand on a command line."""
    return {
        "FLASHBENCH_ADMIN_TOKEN": stack.admin_token,
        "FLASHBENCH_DATABASE_URL": stack.database_url,
        "FLASHBENCH_REDIS_URL": stack.redis_url,
        "FLASHBENCH_CONTROL": stack.control,
        "FLASHBENCH_SCENE": scene_words(stack),
    }
