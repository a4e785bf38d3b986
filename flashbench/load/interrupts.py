"""Ctrl-C, delivered where it can do no harm.

Python raises KeyboardInterrupt in whatever greenlet happens to run, a buyer in the middle of a record included. Here
the first one is thrown into the main greenlet, which Locust is prepared for. Once the run is being stopped, further
ones only make haste: waiting is cut short, what there is is kept and judged.
"""

from __future__ import annotations

import signal

import gevent

from flashbench.vocabulary import ExitCode


class Interrupts:
    """One per process. ``idle`` says that Locust is not yet prepared for an interrupt."""

    def __init__(self) -> None:
        self.count = 0
        self.idle = False
        self._stopping = False
        self._quitting = False
        self._pressed_while_stopping = 0

    def listen(self) -> None:
        """Take over SIGINT. Must be called after any fork."""
        gevent.signal_handler(signal.SIGINT, self._interrupted)

    def stopping(self) -> None:
        """The run is being stopped: from now on an interrupt means haste."""
        self._stopping = True

    def quitting(self) -> None:
        """The process is ending, and no run will follow."""
        self._stopping = self._quitting = True

    def ready(self) -> None:
        """A run begins, or is over with another to come: an interrupt ends what there is."""
        if not self._quitting:
            self._stopping = False
            self._pressed_while_stopping = 0

    def hurry(self) -> bool:
        """Whether the user wants out."""
        return self._pressed_while_stopping > 0

    def _interrupted(self) -> None:
        self.count += 1
        if self._stopping:
            self._pressed_while_stopping += 1
            return
        self._stopping = not self.idle
        error = SystemExit(int(ExitCode.UNPROVEN)) if self.idle else KeyboardInterrupt()
        gevent.get_hub().handle_system_error(type(error), error)
