"""Injects a trial's planned faults at their times, makes sure that they bite, and heals them: a companion of its load.

``python -m benchmarks.faults PLAN``, a JSON list of planned faults. What the stack offers is in the environment: the
stores' URLs, ``FLASHBENCH_CONTROL``, and in ``FLASHBENCH_SCENE``, in JSON, the other fields of a ``Scene``.
"""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks.accompany import Opened, Trial
from benchmarks.fault import Scene, fault_class
from benchmarks.timeline import Timeline
from flashbench.evidence.documents import FAULTS, FaultEvent, PlannedFault

LOOK_EVERY_NS = 20_000_000

CONTROL = "FLASHBENCH_CONTROL"
SCENE = "FLASHBENCH_SCENE"


def scene_of(opened: Opened) -> Scene:
    """What the environment and the open sale say."""
    return Scene(
        control=os.environ[CONTROL],
        redis_url=os.environ["FLASHBENCH_REDIS_URL"],
        database_url=os.environ["FLASHBENCH_DATABASE_URL"],
        sale_id=opened.sale_id,
        skus=opened.skus,
        **json.loads(os.environ.get(SCENE, "{}")),
    )


def main(words: list[str]) -> int:
    """Accompany one trial. What could not be undone is missing from the diary, and bars a PASS."""
    plans = [PlannedFault.model_validate(each) for each in json.loads(words[0])]
    trial = Trial()
    scene = scene_of(trial.opened)
    planned = [(plan, fault_class(plan.fault)(scene, plan.options)) for plan in plans]
    with (trial.opened.folder / FAULTS).open("a", buffering=1) as diary:

        def note(event: FaultEvent) -> None:
            diary.write(event.model_dump_json() + "\n")

        def complain(sentence: str) -> None:
            sys.stderr.write(f"{sentence}\n")

        timeline = Timeline(planned, note, complain)
        trial.ready()
        try:
            while not timeline.finished:
                timeline.advance(trial.released_ns, over=trial.over)
                trial.listen_until(time.monotonic_ns() + LOOK_EVERY_NS)
                if trial.over:
                    time.sleep(LOOK_EVERY_NS / 1e9)  # nothing more will be heard
        finally:
            timeline.abandon()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
