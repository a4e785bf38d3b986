"""Two runs, compared: all that is said of them, computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flashbench.errors import UsageError
from flashbench.vocabulary import ExitCode
from reports.comparison.differences import WORSE_THAN, Row, rows
from reports.comparison.fingerprints import machine_differences, under_test, work_differences
from reports.latency.statistics import SIGNIFICANT, least_p
from reports.summary import Summary, summarize


@dataclass(frozen=True, slots=True)
class Comparison:
    """``base`` against ``new``. ``work`` is not empty only if the comparison was forced.

    ``same_machine``: else the figures are shown, and nothing is called of them.
    """

    base: Summary
    new: Summary
    base_folder: Path
    new_folder: Path
    minimum: float
    code: tuple[str, ...]  # how the code under test differs
    work: tuple[str, ...]
    machine: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def same_machine(self) -> bool:
        return not self.machine

    @property
    def judged(self) -> bool:
        """Whether differences may be called at all."""
        return self.same_machine and not self.work

    @property
    def gates(self) -> tuple[Row, ...]:
        """The latency that can fail a build."""
        return tuple(row for row in self.rows if row.metric.gate)

    @property
    def regressions(self) -> tuple[Row, ...]:
        """What fails it: latency that is worse."""
        return tuple(row for row in self.gates if self.judged and row.worse)

    @property
    def decidable(self) -> bool:
        """Whether there is latency, and trials enough for each figure of it to be called worse."""
        found = [row for row in self.gates if row.found is not None]
        return bool(found) and not any(self.too_few_trials(row) for row in found)

    def too_few_trials(self, row: Row) -> bool:
        """Whether the worst that so many trials can show would pass for luck among so many figures."""
        if row.found is None:
            return False
        measured = [each for each in self.rows if each.found is not None]
        one_sided = least_p(row.found.counts) * sum(each.metric.gate for each in measured)
        return (one_sided if row.metric.gate else 2 * least_p(row.found.counts) * len(measured)) >= SIGNIFICANT

    @property
    def unmeasured(self) -> tuple[Row, ...]:
        """Those of them that were not measured in both runs."""
        return tuple(row for row in self.gates if row.found is None)

    @property
    def asked_for(self) -> bool:
        """Whether either run was to measure latency without faults at all."""
        return self.base.measures_latency or self.new.measures_latency

    @property
    def in_one_only(self) -> tuple[str, ...]:
        """The strategies that only one of the runs has, which are not compared."""
        return tuple(sorted({*self.base.strategy_names} ^ {*self.new.strategy_names}))

    @property
    def exit_code(self) -> ExitCode:
        """The new run's verdict on correctness first; then 13 for a regression; then whether it could be measured.

        12 where latency was to be judged and could not be: an outcome that was looked for in vain is no success.
        """
        verdict = self.new.verdict.exit_code
        if verdict in (ExitCode.FAIL, ExitCode.UNPROVEN):
            return verdict
        if self.regressions:
            return ExitCode.REGRESSION
        if self.judged and self.asked_for and (self.unmeasured or not self.decidable):
            return ExitCode.INVALID
        return verdict


def compare(
    base: Path,
    new: Path,
    *,
    minimum: float = WORSE_THAN,
    force: bool = False,
    one_job: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Compare two runs' folders. UsageError if either is no run, or they did different work and it isn't forced.

    ``one_job``: they took turns on one machine, whatever its disk was measured at before.
    """
    for folder in (base, new):
        if not folder.is_dir():
            raise UsageError(f"there is no folder {str(folder)!r}.")
    before = summarize(base, lambda text: progress(f"base: {text}"))
    after = summarize(new, lambda text: progress(f"new: {text}"))
    work = work_differences(before.fingerprint.get("work", {}), after.fingerprint.get("work", {}))
    if not before.fingerprint.get("work") or not after.fingerprint.get("work"):
        work.append("what was run and on which servers is not recorded in both")
    if work and not force:
        raise UsageError(f"these runs did different work ({'; '.join(work)}): compare like with like, or give --force.")
    return Comparison(
        base=before,
        new=after,
        base_folder=base,
        new_folder=new,
        minimum=minimum,
        code=tuple(under_test(before.fingerprint.get("work", {}), after.fingerprint.get("work", {}))),
        work=tuple(work),
        machine=() if one_job else tuple(_machines(before, after)),
        rows=tuple(rows(before, after, minimum)),
    )


def _machines(before: Summary, after: Summary) -> list[str]:
    return machine_differences(before.fingerprint.get("machine", {}), after.fingerprint.get("machine", {}))
