"""A server that the supervisor owns: an address that stays, and a process that may come and go."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from flashbench.services.child import Child, wait_until
from flashbench.services.control import Order

START_LIMIT_S = 25.0  # what has to be recovered first is recovered within it


class Server(ABC):
    """Started, ended in several ways, and started again under the same address.

    ``name`` is how it is spoken of, ``returns`` in which state it comes back, ``killed_by`` the signal that ends it at
    once, and ``signals`` are those by which it obeys orders other than KILL and START.
    """

    name: ClassVar[str]
    returns: ClassVar[str]
    killed_by: ClassVar[signal.Signals] = signal.SIGKILL
    signals: ClassVar[Mapping[Order, signal.Signals]] = {}

    def __init__(self) -> None:
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The process at present, None if there is none."""
        return self._child.pid if self._child is not None and self._child.running else None

    def start(self, check: Callable[[], None]) -> None:
        """Start, and wait until it answers; StartFailedError if it does not. Nothing if it runs."""
        if self.pid is not None:
            return
        child = self._child = self._launch()

        def answers() -> bool:
            child.expect_running()
            return self._answers()

        try:
            wait_until(answers, check, limit_s=START_LIMIT_S, what=f"{self.name} to answer")
        except BaseException:
            child.stop()
            raise

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        if self._child is not None:
            self._child.signal(number)

    def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        if self._child is not None:
            self._child.end(self.killed_by)

    def stop(self) -> None:
        """End it for good."""
        if self._child is not None:
            self._child.stop()

    @abstractmethod
    def _launch(self) -> Child:
        """A process that will serve the address."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it serves."""
