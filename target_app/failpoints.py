"""Failpoints: places between the steps of a purchase where a test can have it end, wait or fail.

They exist only in an app that was given a folder for them at start. A file there with the name of a point arms it.
Whoever comes to the point first, in whichever worker, takes the file by renaming it, and does once what it says.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

BEFORE_COMMIT = frozenset({"after_hold", "before_commit"})  # who comes there has written nothing yet


class Action(StrEnum):
    """What becomes of whoever takes a failpoint."""

    KILL = "kill"  # its process, with SIGKILL
    PAUSE = "pause"
    FAIL = "fail"


class Order(BaseModel):
    """What the file says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    pause_s: Annotated[float, Field(ge=0)] = 1.0


class FailpointError(Exception):
    """What ``fail`` raises. To a strategy it is an error like any other that nobody expects."""

    def __init__(self, point: str) -> None:
        super().__init__(f"the failpoint {point!r} was armed to fail")
        self.no_effect = point in BEFORE_COMMIT


class Failpoints:
    """The failpoints of one worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    async def reach(self, point: str) -> None:
        """Come to a point: do what its file says, if there is one. FailpointError if that is to fail."""
        order = self._take(point)
        if order is None:
            return
        match order.action:
            case Action.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case Action.PAUSE:
                await asyncio.sleep(order.pause_s)
            case Action.FAIL:
                raise FailpointError(point)

    def _take(self, point: str) -> Order | None:
        taken = self._folder / f"{point}.hit-{os.getpid()}-{next(self._numbers)}"
        try:
            (self._folder / point).rename(taken)
        except FileNotFoundError:
            return None
        return Order.model_validate_json(taken.read_bytes())
