"""A worker dies, pauses or fails at a named point between the steps of a purchase: the first one to come there."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import Field

from benchmarks.fault import Claim, Fault, FaultError, FaultOptions, Part, Scene
from benchmarks.workers import Workers

# What a purchase that commits can't do without; the lock is the one that keeps all of them waiting.
_COMMITS = frozenset({Part.POSTGRES_ANSWERS, Part.POSTGRES_FLOW, Part.POSTGRES_LOCK, Part.POSTGRES_REPLIES})


class Failpoint(Fault):
    """One purchase meets it; the points are the app's own, and a strategy that never comes to one is not hurt."""

    hurts = "app"
    needs = frozenset({"failpoints"})

    class Options(FaultOptions):
        """``point`` and what happens there: the worker is killed, that purchase pauses, or it fails by an error."""

        point: Literal["after_hold", "before_commit", "after_commit", "before_release"]
        action: Literal["kill", "pause", "fail"] = "kill"
        pause_s: Annotated[float, Field(ge=0.01, le=15)] = 1.0

        @property
        def which(self) -> str:
            return self.point

    options: Options

    @classmethod
    def claim(cls, options: FaultOptions) -> Claim:
        """A worker that is killed leaves too few for those who need them all; a purchase must come to the point."""
        assert isinstance(options, cls.Options)
        kills = options.action == "kill"
        return Claim(
            super().claim(options).itself,
            relies=frozenset({Part.WORKERS} if kills else ()),
            meets=_COMMITS if options.point in ("before_commit", "after_commit") else frozenset(),
            ends=frozenset({"app"} if kills else ()),
        )

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._workers = Workers(scene)
        self._armed = False

    def inject(self) -> None:
        for hit in self._hits():
            hit.unlink()
        draft = self._file().with_name(f".{uuid4().hex}")
        draft.write_text(json.dumps({"action": self.options.action, "pause_s": self.options.pause_s}))
        self._armed = True
        draft.rename(self._file())

    def bite(self) -> str | None:
        hits = self._hits() if self._armed else []
        if not hits:
            return None
        worker = hits[0].name.partition(".hit-")[2].partition("-")[0]
        return f"worker {worker} came to the point {self.options.point} and took it"

    def heal(self) -> None:
        if self._armed:
            self._file().unlink(missing_ok=True)

    def healed(self) -> str | None:
        if not self._armed:
            return "nothing was armed"
        hits = self._hits()
        if self._file().exists() or any(self._pauses(hit) for hit in hits) or not self._workers.all_ready():
            return None
        for hit in hits:
            hit.unlink()
        return "nothing is armed, nothing pauses, and every worker is ready"

    def _file(self) -> Path:
        if self.scene.failpoints is None:
            raise FaultError("the app was not started with failpoints")
        return Path(self.scene.failpoints) / self.options.point

    def _hits(self) -> list[Path]:
        file = self._file()
        return sorted(file.parent.glob(f"{file.name}.hit-*"))

    def _pauses(self, hit: Path) -> bool:
        """Whether whoever took the point may still pause there; it was renamed at that moment."""
        return self.options.action == "pause" and time.time() < hit.stat().st_ctime + self.options.pause_s
