"""If these fail, the comparison compares something else than it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import Cost
from flashbench.evidence.records import CacheState
from flashbench.vocabulary import Outcome
from reports.latency.cache import cache_figures, staleness_ms
from reports.latency.figures import TrialFigures, figures, pooled
from tests.bundles import MS, OPENED_NS, BundleBuilder


def found(builder: BundleBuilder) -> TrialFigures:
    return figures(Bundle.load(builder.build()))


def test_the_drain_is_no_part_of_any_figure(tmp_path: Path) -> None:
    result = found(BundleBuilder.honest(tmp_path / "t", stock=5, attempts=24, drain_attempts=40))

    assert result.purchases == 24
    assert sum(result.by_outcome.values()) == 24
    assert result.by_outcome[Outcome.SOLD] == result.units_sold == 5


def test_times_count_from_the_barrier_and_from_the_intended_start(tmp_path: Path) -> None:
    builder = BundleBuilder.honest(tmp_path / "t", stock=5)
    sales = sorted(
        (placed.record for placed in builder.load if placed.record.outcome is Outcome.SOLD),
        key=lambda record: record.returned_ns or 0,
    )

    result = found(builder)

    assert sales[0].returned_ns is not None
    assert sales[-1].returned_ns is not None
    assert result.first_sold_s == pytest.approx((sales[0].returned_ns - OPENED_NS) / 1e9)
    assert result.sell_out_s == pytest.approx((sales[-1].returned_ns - OPENED_NS) / 1e9)
    assert result.sell_out_s is not None
    assert result.sales_per_s == pytest.approx(5 / result.sell_out_s)
    intended = sorted(((sale.returned_ns or 0) - sale.intended_ns) / 1e6 for sale in sales)
    assert list(result.latency[Outcome.SOLD].done_ms) == pytest.approx(intended)


def test_stock_that_outlives_the_load_has_no_sell_out(tmp_path: Path) -> None:
    result = found(BundleBuilder.honest(tmp_path / "t", stock=30, attempts=12))

    assert result.sell_out_s is None
    assert result.refusals_per_s is None
    assert result.lost_sales == 0


def test_a_buyer_who_came_in_time_and_got_nothing_is_a_lost_sale(tmp_path: Path) -> None:
    builder = BundleBuilder.honest(tmp_path / "t", stock=30, attempts=12, unknowns=4)
    builder.change_try(lambda record: record.outcome is Outcome.SOLD, outcome=Outcome.FAILED, status=503)

    result = found(builder)

    assert result.by_outcome[Outcome.UNKNOWN] == 4
    assert result.lost_sales == 2 + 1  # two of the unknown ones did not buy, and one failed


def test_statements_are_shared_out_over_the_purchases(tmp_path: Path) -> None:
    cost = Cost(postgres_statements=240)

    assert found(BundleBuilder.honest(tmp_path / "t", attempts=24, cost=cost)).statements_per_attempt == 10.0
    assert found(BundleBuilder.honest(tmp_path / "u", attempts=24)).statements_per_attempt is None


def test_pooling_keeps_every_purchase_and_the_range_of_the_trials(tmp_path: Path) -> None:
    trials = [found(BundleBuilder.honest(tmp_path / str(seed), seed=seed)) for seed in range(3)]

    row = pooled(trials)

    assert row.trials == 3
    assert row.counts[Outcome.SOLD] == 15
    assert row.sell_out_s is not None
    assert row.sell_out_s.least <= row.sell_out_s.mean <= row.sell_out_s.greatest
    assert row.percentiles[Outcome.SOLD][0.5] is not None
    assert row.percentiles[Outcome.SOLD][0.99] is None


def test_hits_shielding_and_staleness_follow_from_the_reads(tmp_path: Path) -> None:
    builder = BundleBuilder.honest(tmp_path / "t", stock=5)
    sales = sorted(
        (placed.record for placed in builder.load if placed.record.outcome is Outcome.SOLD),
        key=lambda each: each.seq or 0,
    )
    second_sold_ns = min(sale.returned_ns or 0 for sale in sales[1:])
    builder.add_read(cache=CacheState.MISS, version=5, invoked_ns=second_sold_ns, returned_ns=second_sold_ns + MS)
    builder.add_read(cache=CacheState.HIT, version=1, invoked_ns=second_sold_ns - MS, returned_ns=second_sold_ns)
    late_ns = second_sold_ns + 7 * MS
    builder.add_read(cache=CacheState.HIT, version=1, invoked_ns=late_ns, returned_ns=late_ns + MS)
    builder.add_read(cache=CacheState.BYPASS, status=503, version=None, remaining=None)

    bundle = Bundle.load(builder.build())
    result = cache_figures(bundle)

    assert result is not None
    assert (result.reads, result.hit_ratio, result.shielding) == (4, 2 / 3, 2 / 3)
    assert result.stale_reads == 1
    assert np.allclose(staleness_ms(bundle), [0, 0, 7])
    assert result.staleness_max_ms == pytest.approx(7)


def test_a_trial_without_reads_has_no_cache_figures(tmp_path: Path) -> None:
    assert cache_figures(Bundle.load(BundleBuilder.honest(tmp_path / "t").build())) is None
