"""How a long run tells where it is: a live bar on a terminal, plain lines everywhere else."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class RunProgress:
    """Stations of a run. ``step`` is shown at once; ``done`` moves the bar and estimates what is left."""

    def __init__(self, console: Console, total: int, bar: Progress | None) -> None:
        self._console = console
        self._total = total
        self._bar = bar
        self._task = bar.add_task("starting", total=total, left="") if bar is not None else None
        self._done = 0
        self._started_s: float | None = None

    def step(self, text: str) -> None:
        """What happens now."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=text)
        else:
            self._console.print(text, highlight=False, soft_wrap=True)

    def begin(self) -> None:
        """The trials start: from here time is measured."""
        self._started_s = time.monotonic()

    def done(self, text: str) -> None:
        """One trial is over."""
        self._done += 1
        line = f"[{self._done}/{self._total}] {text}{self._left()}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, left=self._left().removeprefix(" · "))

    def _left(self) -> str:
        if self._started_s is None or self._done >= self._total:
            return ""
        per_trial_s = (time.monotonic() - self._started_s) / self._done
        return f" · about {duration(per_trial_s * (self._total - self._done))} left"


def duration(seconds: float) -> str:
    """As one would say it.

    >>> duration(42.4), duration(754), duration(15_450)
    ('42 s', '13 min', '4 h 18 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@contextmanager
def run_progress(console: Console, total: int) -> Iterator[RunProgress]:
    """Progress for a run of ``total`` trials."""
    if not console.is_terminal:
        yield RunProgress(console, total, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield RunProgress(console, total, bar)
