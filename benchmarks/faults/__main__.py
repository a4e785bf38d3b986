"""Injects a trial's planned faults at their times, makes sure that they bite, and heals them: a companion of its load.

``python -m benchmarks.faults PLAN``, a JSON list of planned faults. The stack's addresses are in the environment.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.accompany import Trial
from benchmarks.fault import Fault, Scene, fault_class
from flashbench.evidence.documents import FAULTS, FaultEvent, PlannedFault
from flashbench.services.control import OrderRefusedError

LOOK_EVERY_NS = 20_000_000
HEALED_LIMIT_NS = 10_000_000_000

CONTROL = "FLASHBENCH_CONTROL"


@dataclass(slots=True)
class _Planned:
    """A fault and how far it has come."""

    place: int
    plan: PlannedFault
    fault: Fault
    stage: Literal["planned", "injected", "bitten", "healing", "healed", "missed"] = "planned"
    give_up_ns: int = 0


class _Diary:
    """``faults.jsonl``, a line an event, at once on its way to disk."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / FAULTS).open("a", buffering=1)

    def note(self, planned: _Planned, step: Literal["injected", "bit", "healed"], at_ns: int, detail: str = "") -> None:
        event = FaultEvent(fault=planned.plan.fault, place=planned.place, step=step, at_ns=at_ns, detail=detail)
        self._file.write(event.model_dump_json() + "\n")

    def close(self) -> None:
        self._file.close()


def main(words: list[str]) -> int:
    """Accompany one trial; 1 if a fault could not be undone."""
    plans = [PlannedFault.model_validate(each) for each in json.loads(words[0])]
    scene = Scene(os.environ[CONTROL], os.environ["FLASHBENCH_REDIS_URL"], os.environ["FLASHBENCH_DATABASE_URL"])
    all_planned = [_Planned(place, plan, fault_class(plan.fault)(scene)) for place, plan in enumerate(plans)]
    trial = Trial()
    diary = _Diary(trial.opened.folder)
    trial.ready()
    while any(each.stage not in ("healed", "missed") for each in all_planned):
        for each in all_planned:
            _advance(each, trial, diary)
        trial.listen_until(time.monotonic_ns() + LOOK_EVERY_NS)
        if trial.over:
            time.sleep(LOOK_EVERY_NS / 1e9)  # nothing more will be heard
    diary.close()
    return int(any(each.stage == "missed" and each.give_up_ns for each in all_planned))


def _advance(each: _Planned, trial: Trial, diary: _Diary) -> None:
    """Take a fault one step further if it is time. The end of the load heals whatever still lasts."""
    now_ns = time.monotonic_ns()
    since_ns = None if trial.released_ns is None else now_ns - trial.released_ns
    if each.stage == "planned":
        if trial.over:
            each.stage = "missed"
        elif since_ns is not None and since_ns >= each.plan.at_s * 1e9:
            diary.note(each, "injected", now_ns)
            each.fault.inject()
            each.stage = "injected"
    elif each.stage in ("injected", "bitten"):
        shows = each.fault.bite() if each.stage == "injected" else None
        if shows is not None:
            diary.note(each, "bit", time.monotonic_ns(), shows)
            each.stage = "bitten"
        if trial.over or (since_ns is not None and since_ns >= (each.plan.at_s + each.plan.for_s) * 1e9):
            each.stage, each.give_up_ns = "healing", now_ns + HEALED_LIMIT_NS
            _heal(each)
    elif each.stage == "healing":
        shows = each.fault.healed()
        if shows is not None:
            diary.note(each, "healed", time.monotonic_ns(), shows)
            each.stage = "healed"
        elif now_ns > each.give_up_ns:
            each.stage = "missed"
        else:
            _heal(each)


def _heal(each: _Planned) -> None:
    try:
        each.fault.heal()
    except OrderRefusedError as refusal:
        sys.stderr.write(f"{each.plan.fault} could not be undone: {refusal}\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
