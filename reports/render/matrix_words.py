"""The matrix in words: what stands in a cell, which targets it misses, and what the whole of it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from reports.matrix import Cell, FaultCase, Matrix
from reports.outages.course import PATIENCE_S
from reports.outages.judgement import Judgement, Status
from reports.outages.targets import AVAILABILITY, DETECTION_S, LEAST_CRASHES, RECOVERY, SEEDS, SLOWEST_REQUEST
from reports.render.words import NONE, in_so_many

HEADING = "When Redis, Postgres, the network or the app goes away"
NOT_RUN = "not run"

ASKED = (
    f"While Redis fails, and for {RECOVERY.unit.said(RECOVERY.limit)} more, at least"
    f" {AVAILABILITY.unit.said(AVAILABILITY.limit)} of the purchases have to be decided within {PATIENCE_S:g} s,"
    f" but for those of the {1000 * DETECTION_S:.0f} ms after every injection; no request may take"
    f" longer than {SLOWEST_REQUEST.unit.said(SLOWEST_REQUEST.limit)}, and all has to be as before within"
    f" {RECOVERY.unit.said(RECOVERY.limit)} of the heal; a network that cuts Redis off counts as Redis failing."
    " Whatever fails, no unit may be oversold, no acknowledged order lost, no answer be wrong, no unit leak, no lock"
    " outlive its lease, and every unknown outcome has to be resolved; for a Postgres that is stopped, that takes"
    f" {LEAST_CRASHES} crashes to show."
)


def verdict(cell: Cell) -> str:
    """How many passed, and what that makes of all, as in "9/10 UNPROVEN"."""
    return f"{cell.passed}/{cell.count} {cell.verdict}"


def availability(cell: Cell) -> str:
    """Outside the detection window, in the worst trial."""
    return NONE if cell.availability is None else AVAILABILITY.unit.said(cell.availability)


def recovery(cell: Cell) -> str:
    """From a heal, in the worst trial that was seen to recover, and how many were if not all."""
    if cell.recovered_s is None:
        return NONE
    return f"{cell.recovered_s:.1f} s{in_so_many(cell.recovered, len(cell.figures))}"


def numbers(cell: Cell) -> tuple[str, ...]:
    """Both, as far as they are known, for people."""
    if not cell.figures:
        return ("no figures",)
    recovered = "recovery not seen" if cell.recovered_s is None else f"back after {recovery(cell)}"
    return _unbroken(f"{availability(cell)} decided in {PATIENCE_S:g} s"), _unbroken(recovered)


def misses(cell: Cell) -> str:
    """The targets that it misses, in short; empty if there are none."""
    return _short(cell.missed)


def gaps(cell: Cell) -> str:
    """The targets of which its trials can't say whether they are met; empty if there are none."""
    return _short(cell.not_shown)


def _short(judgements: Iterable[Judgement]) -> str:
    return ", ".join(each.target.short for each in judgements)


def targets(found: Matrix) -> str:
    """How many targets were met over all cells, and which were not; empty if none was judged."""
    judged = [(each, cell) for cell in found.cells for each in cell.judgements]
    if not judged:
        return ""
    told = [f"{sum(each.status is Status.MET for each, _ in judged):,} met"]
    for status in (Status.MISSED, Status.NOT_SHOWN):
        such = [(each, cell) for each, cell in judged if each.status is status]
        told.append(f"{'✗ ' if such and status is Status.MISSED else ''}{len(such):,} {status}{_which(such)}")
    return f"Targets while something fails{_of_how_many(found)}: {', '.join(told)}."


def _of_how_many(found: Matrix) -> str:
    """The fewest trials of a cell, where they are fewer than the targets are meant for."""
    fewest = min(len(each.figures) for each in found.cells if each.judgements)
    return f" (meant for {SEEDS} trials a cell, here as few as {fewest})" if fewest < SEEDS else ""


def _which(judged: Sequence[tuple[Judgement, Cell]]) -> str:
    """Of these, how many of each target; that trials are missing explains what they leave open, whatever it is."""
    names = Counter(
        "where trials are missing" if cell.missing and each.status is Status.NOT_SHOWN else each.target.short
        for each, cell in judged
    )
    return f" ({', '.join(f'{count} {name}' for name, count in names.most_common())})" if names else ""


def as_text(cell: Cell | None) -> str:
    """All that stands in a cell."""
    if cell is None:
        return NOT_RUN
    mark = (f"; ✗ {misses(cell)}" if cell.missed else "") + (f"; ? {gaps(cell)}" if cell.not_shown else "")
    return f"{verdict(cell)}, {availability(cell)}, {recovery(cell)}{mark}"


def remarks(found: Matrix) -> list[str]:
    """Which targets are missed, and by how much; and what the cells can't show."""
    told = [f"{each.words}, {each.strategy}: {missed.sentence}." for each in found.cells for missed in each.missed]
    unjudged = sum(bool(each.not_shown) for each in found.cells)
    if unjudged:
        cells = "1 cell a target" if unjudged == 1 else f"{unjudged} cells targets"
        told.append(f"In {cells} could not be judged for want of evidence (?); the cell's page says why.")
    bare = sum(not each.judgements for each in found.cells)
    if bare:
        cells = "1 cell has" if bare == 1 else f"{bare} cells have"
        told.append(f"{cells} no figures, so no target was judged there.")
    return told


def heading(row: FaultCase) -> str:
    """What a row is called: the faults for people, with the suite's name for the case."""
    return row.words if row.words == row.case else f"{row.words} ({row.case})"


def _unbroken(words: str) -> str:
    """On one line."""
    return words.replace(" ", "\N{NO-BREAK SPACE}")
