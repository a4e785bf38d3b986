"""What the cache did, in lines for the terminal. It decides nothing about the verdict."""

from __future__ import annotations

from flashbench.evidence.bundle import Bundle
from reports.latency.cache import CacheFigures, cache_figures


def cache_lines(bundle: Bundle) -> tuple[str, ...]:
    """Hit ratio by kind, shielding and staleness; nothing if the trial made no product reads."""
    figures = cache_figures(bundle)
    return () if figures is None else _lines(figures)


def _lines(figures: CacheFigures) -> tuple[str, ...]:
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(figures.by_state.items()))
    staleness = (
        f"p50 {_milliseconds(figures.staleness_p50_ms)}, p99 {_milliseconds(figures.staleness_p99_ms)},"
        f" max {_milliseconds(figures.staleness_max_ms)}"
    )
    return (
        f"cache: {figures.reads} product reads, hit ratio {_share(figures.hit_ratio)} ({kinds or 'none answered'})",
        f"cache: shielding {_share(figures.shielding)} (reads that did not go to Postgres)",
        f"cache: staleness {staleness}; {figures.stale_reads} reads were known to be stale",
    )


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1%}"


def _milliseconds(value: float | None) -> str:
    return "too few to say" if value is None else f"{value:.1f} ms"
