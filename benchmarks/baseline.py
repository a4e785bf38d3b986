"""Another revision of the app under test, taken out of git into a scratch folder that goes away again."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.plan import PlannedRun
from flashbench.catalogue import ROOT, Contender, strategies
from flashbench.errors import UsageError
from flashbench.services.scratch import Scratch

PACKAGE = "target_app"


@dataclass(frozen=True, slots=True)
class Baseline:
    """``folder`` holds the app of ``revision`` and whatever else of the checkout its plug-ins are."""

    revision: str
    folder: Path

    def of(self, runs: tuple[PlannedRun, ...]) -> tuple[PlannedRun, ...]:
        """The same trials with this revision's plug-ins, without those of strategies that its app did not ship yet.

        A plug-in that the revision does not have stays as it is. UsageError if no strategy is left.
        """
        known = {each.name for each in strategies(self.folder / PACKAGE / "strategies")}
        left = tuple(
            replace(run, contender=self._contender(run.contender)) for run in runs if self._has(run.contender, known)
        )
        if all(run.contender.control for run in left):
            raise UsageError(
                f"revision {self.revision} has none of these strategies: there is nothing to compare with."
            )
        return left

    def _has(self, contender: Contender, known: set[str]) -> bool:
        return contender.plugin is not None or contender.name in known

    def _contender(self, contender: Contender) -> Contender:
        path_text, _, name = (contender.plugin or "").rpartition(":")
        path = Path(path_text)
        if contender.plugin is None or contender.control or not path.is_relative_to(ROOT):
            return contender
        earlier = self.folder / path.relative_to(ROOT)
        return replace(contender, plugin=f"{earlier}:{name}") if earlier.is_file() else contender


@contextmanager
def checked_out(revision: str) -> Iterator[Baseline]:
    """The revision's files for as long as the context lasts. UsageError if there is no such revision, or no git."""
    commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
    if not commit:
        raise UsageError(f"there is no revision {revision!r} in {ROOT}: name a commit, a tag or a branch.")
    archive = _git("archive", "--format=tar", commit)
    scratch = Scratch()
    try:
        folder = scratch.folder("baseline")
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        if not (folder / PACKAGE).is_dir():
            raise UsageError(f"revision {revision!r} has no {PACKAGE}: name one that has the app.")
        yield Baseline(_git("describe", "--always", "--abbrev=12", commit).decode().strip(), folder)
    finally:
        scratch.remove()


def _git(*words: str) -> bytes:
    """The output; empty if git says no."""
    try:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=True, timeout=60).stdout
    except subprocess.CalledProcessError:
        return b""
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--baseline needs git and a checkout ({error}).") from error
