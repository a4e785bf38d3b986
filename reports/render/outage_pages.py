"""The pages beside the report: one for every cell of the matrix, and, of many cases, one for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from flashbench.vocabulary import Verdict
from reports.latency.figures import TrialFigures
from reports.latency.statistics import Estimate
from reports.matrix import Cell, FaultCase
from reports.outages.answers import Answers
from reports.outages.course import PATIENCE_S
from reports.outages.judgement import Status
from reports.outages.spans import Span
from reports.outages.targets import LOCK_LEASE_S
from reports.places import places
from reports.render import matrix_words, outage_tables
from reports.render.drawing import Picture
from reports.render.page import fill
from reports.render.palette import colour
from reports.render.tables import Table
from reports.render.words import NONE, estimate, exact_percent, in_so_many, share
from reports.summary import Summary

_FIRST = (Status.MISSED, Status.NOT_SHOWN, Status.MET)
_MOST_REASONS, _MOST_AT_ONCE = 12, 2  # why trials did not pass; the first stand on top
_MOST_WORDINGS = 2


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure that is shown large, and what it is."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A fault in the diary: what it was, and its steps: which, when in all trials, and what showed it."""

    words: str
    steps: tuple[tuple[str, str, str], ...]


def cell_page(summary: Summary, row: FaultCase, cell: Cell, picture: Picture | None) -> str:
    """What one fault did to one strategy; without a picture where no trial has figures."""
    place = places(summary.strategy_names)
    reasons = _reasons(cell)
    return fill(
        "cell.html.j2",
        summary=summary,
        cell=cell,
        row=row,
        others=[each for each in row.cells if each is not None and each is not cell],
        tint=colour(place[cell.strategy]),
        judgements=sorted(cell.judgements, key=lambda each: _FIRST.index(each.status)),
        misses=matrix_words.misses(cell),
        course=course_in_words(cell),
        tiles=tiles(cell),
        picture=picture,
        svg=Markup(picture.svg) if picture is not None else "",
        diary=diary(cell),
        trials=trial_table(cell),
        withheld=_withheld(cell),
        reasons=reasons[:_MOST_AT_ONCE],
        more_reasons=reasons[_MOST_AT_ONCE:],
        asked=matrix_words.ASKED,
    )


def case_page(summary: Summary, row: FaultCase, picture: Picture | None) -> str:
    """What one fault did to all strategies."""
    place = places(summary.strategy_names)
    return fill(
        "case.html.j2",
        summary=summary,
        row=row,
        cells=[each for each in row.cells if each is not None],
        words=matrix_words,
        tint=lambda strategy: colour(place[strategy]),
        tables=[outage_tables.buyers(summary, row.case), outage_tables.stores(summary, row.case)],
        remarks=outage_tables.outage_remarks(summary, row.case),
        picture=picture,
        svg=Markup(picture.svg) if picture is not None else "",
    )


def course_in_words(cell: Cell) -> list[str]:
    """What happened, in the order in which it did, as the mean of the trials has it."""
    if cell.outage is None or not cell.figures:
        return []
    first = max(cell.figures, key=lambda each: len(each.spans)).spans
    told = [_spans_in_words(first)]
    availability = cell.outage.estimate(lambda met: met.availability)
    worst = cell.outage.estimate(lambda met: met.worst_second)
    if availability is not None and worst is not None:
        told.append(
            f"Of the purchases, {exact_percent(availability.mean)} were decided within {PATIENCE_S:g} s, and"
            f" {exact_percent(worst.mean)} of those that arrived in the worst second."
        )
    detected = cell.outage.estimate(lambda met: met.detected_s)
    if detected is not None:
        told.append(f"Every worker had stopped asking Redis {detected.mean:.1f} s after the fault began.")
    recovered = cell.outage.estimate(lambda met: met.recovered_s)
    if recovered is not None:
        took = "As soon as it was healed" if recovered.mean < 0.05 else f"{recovered.mean:.1f} s after the heal"
        seen = in_so_many(cell.recovered, len(cell.figures))
        told.append(f"{took}, all was as before{seen and seen + ' trials'}.")
    return told


def tiles(cell: Cell) -> list[Tile]:
    """The figures that are looked at first: worst trials, and sums over all."""
    met = cell.figures
    if not met:
        return []
    unknowns = [each.unknowns for each in met]
    locks = _most([each.longest_lock_s for each in met])
    reads = _most([each.peak_database_reads_per_s for each in met])
    found = [
        Tile(
            matrix_words.availability(cell),
            f"decided within {PATIENCE_S:g} s while something failed; worst trial",
        ),
        Tile(matrix_words.recovery(cell), "from the heal until as before; worst trial"),
        Tile(_seconds(_most([each.slowest_request_s for each in met])), "slowest request"),
        Tile(outage_tables.counted([Answers.of(each.verdict.findings).wrong for each in cell.trials]), "wrong answers"),
        Tile(outage_tables.resolved(unknowns), "purchases of unknown outcome, by the ledger"),
        Tile(_seconds(_most([each.oldest_transaction_s for each in met])), "oldest open transaction"),
        Tile(_rate(_most([each.peak_statements_per_s for each in met])), "statements in Postgres, at most"),
    ]
    if reads:
        found.append(Tile(_rate(reads), "products read from Postgres, at most"))
    if locks is not None:
        stale = outage_tables.counted([each.stale_locks for each in met])
        found.append(Tile(stale, f"locks held past their lease of {LOCK_LEASE_S:g} s"))
        found.append(Tile(_seconds(locks), "longest that one owner held a lock"))
    return found


def diary(cell: Cell) -> list[Entry]:
    """What the faults' diary says, an entry a fault, over all trials."""
    spans: dict[int, list[Span]] = {}
    for met in cell.figures:
        for span in met.spans:
            spans.setdefault(span.place, []).append(span)
    return [_entry(spans[place], len(cell.figures)) for place in sorted(spans)]


def trial_table(cell: Cell) -> Table:
    """The cell's trials one by one."""
    figures = {each.trial: each for each in (cell.outage.trials if cell.outage is not None else ())}
    return Table(
        headings=(
            *("trial", "verdict", "while failing", "worst second", "slowest request, s", "recovered, s"),
            *("unknowns", "wrong answers", "longest lock, s", "oldest transaction, s", "peak stmts/s"),
        ),
        rows=tuple(
            (each.verdict.trial, each.verdict.verdict.value, *_figures(figures.get(each.verdict.trial)))
            for each in cell.trials
        ),
        texts=2,
        dotted=False,
    )


def _spans_in_words(met: Sequence[Span]) -> str:
    by_words: dict[str, list[Span]] = {}
    for span in met:
        by_words.setdefault(span.words, []).append(span)
    told = [
        f"{words} from {spans[0].from_s:.1f} s to {spans[0].to_s:.1f} s"
        if len(spans) == 1
        else f"{words} {len(spans)} times, from {spans[0].from_s:.1f} s to {spans[-1].to_s:.1f} s"
        for words, spans in by_words.items()
    ]
    return "; ".join(told) + " of the sale."


def _entry(spans: Sequence[Span], trials: int) -> Entry:
    steps = (
        ("injected", [span.from_s for span in spans], [""]),
        ("took effect", [span.bit_s for span in spans if span.bit_s is not None], [span.bite for span in spans]),
        ("healed", [span.to_s for span in spans if span.healed], [span.heal for span in spans]),
    )
    return Entry(
        spans[0].words,
        tuple((name, _moments(moments, trials), _wordings(texts)) for name, moments, texts in steps),
    )


def _moments(moments_s: Sequence[float], trials: int) -> str:
    """When, and in how many trials if not in all."""
    if not moments_s:
        return "never"
    least, most = f"{min(moments_s):.2f}", f"{max(moments_s):.2f}"
    when = f"{least} s" if least == most else f"{least}–{most} s"
    return when if len(moments_s) == trials else f"{when}, in {len(moments_s)} of {trials} trials"


def _wordings(texts: Sequence[str]) -> str:
    """What the trials say, each wording once."""
    known = list(dict.fromkeys(filter(None, texts)))
    more = f" (and {len(known) - _MOST_WORDINGS} more)" if len(known) > _MOST_WORDINGS else ""
    return "; or ".join(known[:_MOST_WORDINGS]) + more


def _most(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f} s"


def _rate(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}/s"


def _figures(each: TrialFigures | None) -> tuple[str, ...]:
    met = each.outage if each is not None else None
    if met is None:
        return (NONE,) * 9
    return (
        share(Estimate.of([met.availability_failing])),
        share(Estimate.of([met.worst_second])),
        _one(met.slowest_request_s, 2),
        _one(met.recovered_s, 1),
        outage_tables.resolved([met.unknowns]),
        NONE if met.answers.wrong is None else f"{met.answers.wrong:,}",
        _one(met.longest_lock_s, 1),
        _one(met.oldest_transaction_s, 2),
        _one(met.peak_statements_per_s, 0),
    )


def _one(value: float | None, digits: int) -> str:
    return estimate(Estimate.of([value]), digits)


def _withheld(cell: Cell) -> list[str]:
    """Why a trial has no figures."""
    found = [f"{each.verdict.trial}: no figures, since {each.withheld}" for each in cell.trials if each.withheld]
    unmet = [each for each in cell.trials if each.figures is not None and not each.figures.spans]
    found += [f"{each.verdict.trial}: no figures, since no fault was injected" for each in unmet]
    missing = f"{cell.missing} planned trial{'s are' if cell.missing > 1 else ' is'} missing"
    return found + ([missing] if cell.missing else [])


def _reasons(cell: Cell) -> list[str]:
    """Why trials did not pass, the first of them in full."""
    found = []
    for each in cell.trials:
        verdict = each.verdict
        broken = [f"{one.invariant} {one.title}: {one.sentence}" for one in verdict.findings if one.status == "broken"]
        if verdict.verdict is not Verdict.PASS:
            found.append(f"{verdict.trial}: {verdict.verdict}, {'; '.join((*broken, *verdict.reasons))}")
    more = [f"and {len(found) - _MOST_REASONS} more trials that did not pass"] if len(found) > _MOST_REASONS else []
    return found[:_MOST_REASONS] + more
