"""The tables of a report, in words, for every form of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flashbench.vocabulary import Outcome, Verdict
from reports.latency.figures import StrategyFigures
from reports.latency.percentiles import SHOWN
from reports.latency.statistics import Estimate
from reports.outages.vitals import Vitals
from reports.render.words import NONE, estimate, milliseconds, share
from reports.summary import ReportedTrial, Summary

MOST_TOLD = 60  # trials that a page shows one by one


@dataclass(frozen=True, slots=True)
class Table:
    """``headings`` are columns, the first ``texts`` of text, the others of numbers.

    ``groups``: headings that stand over several columns, with their number; empty if there are none. ``dotted``: the
    first column names a strategy, and gets a dot in its colour.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    groups: tuple[tuple[str, int], ...] = ()
    dotted: bool = True


def comparison(summary: Summary, case: str) -> Table:
    """The strategies of a case without faults side by side."""
    percentiles = tuple(f"p{100 * each:g}" for each in SHOWN)
    return Table(
        headings=(
            *("strategy", "verdict", "sales/s", "refusals/s"),
            *(*percentiles, *percentiles),
            *("sell-out, s", "lost sales", "stmts/attempt"),
        ),
        rows=tuple(_compared(summary, row) for row in summary.compared_rows(case)),
        texts=2,
        groups=(("", 4), ("sold, ms", len(SHOWN)), ("sold out, ms", len(SHOWN)), ("", 3)),
    )


def unplanned_remarks(summary: Summary) -> list[str]:
    """Trials in which Redis went away though nobody had planned it: their figures are not of an undisturbed sale."""
    return [
        f"In {each.verdict.trial}, Redis did not answer from {from_s:.1f} s to {to_s:.1f} s, which nobody had planned."
        for each in summary.trials
        if each.figures is not None
        for from_s, to_s in each.figures.unplanned
    ]


def worth_telling(summary: Summary) -> tuple[ReportedTrial, ...]:
    """All trials of a suite of ordinary size; of a large one the first of each kind, and all that went wrong."""
    if len(summary.trials) <= MOST_TOLD:
        return summary.trials
    kinds: set[tuple[str, str | None, str]] = set()
    found = []
    for each in summary.trials:
        case = each.trial.case_name if each.trial is not None else None
        kind = (each.verdict.strategy, case, each.verdict.verdict.value)
        if kind not in kinds or not each.verdict.met:
            found.append(each)
        kinds.add(kind)
    return tuple(found)


def sale(summary: Summary, case: str) -> Table:
    """The flash sale's times, and its fairness."""
    return Table(
        headings=(
            *("strategy", "first sold, ms", "sell-out, s", "p50 before, ms", "p95 before, ms"),
            *("p50 after, ms", "p95 after, ms", "first come, first served"),
        ),
        rows=tuple(
            (
                row.strategy,
                estimate(row.first_sold_s.times(1e3) if row.first_sold_s is not None else None, 0),
                estimate(row.sell_out_s, 2),
                *(milliseconds(shares[each]) for shares in (row.before, row.after) for each in (0.5, 0.95)),
                share(row.first_come),
            )
            for row in summary.compared_rows(case)
        ),
    )


def sold_out_cases(summary: Summary) -> list[str]:
    """The cases in which some strategy sold out while the load was on."""
    return list(dict.fromkeys(row.case for row in summary.strategies if row.sell_out_s is not None))


_GROUPS = ("app worker", "postgres", "redis", "load", "telemetry")


def machine(summary: Summary, case: str) -> Table:
    """What each strategy asked of the machine: cores and memory, means over its trials; empty without telemetry."""
    seen = {
        strategy: [each.vitals for each in trials if each.vitals is not None]
        for strategy, trials in summary.trials_compared(case).items()
    }
    return Table(
        headings=(
            *("strategy", "app, cores", "Postgres", "Redis", "load", "telemetry"),
            *("Redis memory, MB", "WAL, MB", "most lock waits"),
        ),
        rows=tuple(_asked(strategy, trials) for strategy, trials in seen.items() if trials),
    )


def measured_with(summary: Summary) -> str:
    """The round trips and the flush to disk under which the figures hold, in a sentence; empty if not recorded."""
    facts = summary.fingerprint.get("machine", {})
    names = {
        "fsync_p50_us": "a flush to disk took {} µs",
        "postgres_round_trip_p50_us": "a round trip to Postgres {} µs",
        "redis_round_trip_p50_us": "one to Redis {} µs",
    }
    found = [words.format(f"{float(facts[name]):,.0f}") for name, words in names.items() if name in facts]
    return f"Measured where {', '.join(found)} (medians); other stores and disks change the ranking." if found else ""


def carded(summary: Summary) -> list[tuple[str, list[tuple[str, str]]]]:
    """The strategies that come with a card: what an adopter must know, by heading, in the card's own words."""
    wanted = ("What it suits", "What it gives up", "When Redis is away")
    cards = {name: summary.cards.get(name, {}) for name in summary.strategy_names}
    lines = {name: [(heading, card[heading]) for heading in wanted if heading in card] for name, card in cards.items()}
    return [(name, found) for name, found in lines.items() if found]


def _compared(summary: Summary, row: StrategyFigures) -> tuple[str, ...]:
    return (
        row.strategy,
        passed(summary, row.strategy, row.case),
        estimate(row.sales_per_s, 0),
        estimate(row.refusals_per_s, 0),
        *(
            milliseconds(row.percentiles[outcome][each])
            for outcome in (Outcome.SOLD, Outcome.SOLD_OUT)
            for each in SHOWN
        ),
        estimate(row.sell_out_s, 2),
        f"{row.lost_sales:,}",
        estimate(row.statements_per_attempt, 1),
    )


def passed(summary: Summary, strategy: str, case: str) -> str:
    """How many of a row's trials passed."""
    trials = summary.trials_of(strategy, case)
    return f"{sum(each.verdict.verdict is Verdict.PASS for each in trials)}/{len(trials)} PASS"


def _asked(strategy: str, trials: Sequence[Vitals]) -> tuple[str, ...]:
    waits = [float(each.lock_waits.values.max()) for each in trials if each.lock_waits is not None]
    return (
        strategy,
        *(_cores([_grouped(each.cpu_share, group) for each in trials]) for group in _GROUPS),
        _megabytes([each.memory_bytes.get("redis") for each in trials]),
        _megabytes([each.wal_bytes for each in trials]),
        estimate(Estimate.of(waits), 0),
    )


def _grouped(shares: dict[str, float], group: str) -> float | None:
    """All processes of a group, such as the app's workers, together."""
    found = [value for name, value in shares.items() if name == group or name.startswith(f"{group} ")]
    return sum(found) if found else None


def _cores(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.2f}" if known else NONE


def _megabytes(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known) / 1e6:.1f}" if known else NONE
