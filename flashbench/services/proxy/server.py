"""The supervisor's side of the proxy: its addresses, and the process that serves them."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from flashbench.catalogue import ROOT
from flashbench.services.child import Child, free_port
from flashbench.services.control import OrderRefusedError
from flashbench.services.proxy.control import ProxyControl
from flashbench.services.proxy.plan import LinkPlan, ProxyPlan, server_place
from flashbench.services.server import Server
from flashbench.services.unprivileged import dies_with_parent

MODULE = "flashbench.services.proxy"


class ProxyServer(Server):
    """``servers`` are URLs by link, and ``rtt_ms`` how much longer a round trip over a link takes."""

    name = "the proxy"
    returns = "with nothing of how it was told to behave"

    def __init__(self, servers: Mapping[str, str], rtt_ms: Mapping[str, float], logs: Path) -> None:
        super().__init__()
        self._logs = logs
        self._plan = ProxyPlan(
            control_port=free_port(),
            secret=secrets.token_urlsafe(16),
            links={
                name: LinkPlan(port=free_port(), to=server_place(url), rtt_ms=rtt_ms.get(name, 0.0))
                for name, url in servers.items()
            },
        )
        self.address = f"127.0.0.1:{self._plan.control_port}/{self._plan.secret}"

    def port(self, link: str) -> int:
        """Where clients reach a link's server."""
        return self._plan.links[link].port

    def _launch(self) -> Child:
        modules = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return Child(
            "the proxy",
            [sys.executable, "-m", MODULE],
            log=self._logs / "proxy.log",
            before_exec=dies_with_parent(),
            stop_signals=[(signal.SIGTERM, 2.0)],
            environment={**os.environ, "PYTHONPATH": modules},
            standard_input=self._plan.model_dump_json().encode() + b"\n",
            keeps_input=True,
            working_directory=self._logs,
        )

    def _answers(self) -> bool:
        try:
            return bool(ProxyControl(self.address).place(next(iter(self._plan.links))))
        except OrderRefusedError:
            return False
