"""The course of a trial's load, in seconds since its release: what was answered when, and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flashbench.evidence.bundle import Bundle
from flashbench.target.protocol import Answer
from flashbench.trial.retries import pause_before_retry
from flashbench.vocabulary import Outcome
from reports.checks.history import FAILED, LIMITED, NEVER, SOLD, SOLD_OUT, UNKNOWN, History, Positions

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BIN_S = 0.2  # of the pictures
WINDOW_S = 1.0  # of recovery
STEP_S = 0.1  # from one window to the next
PATIENCE_S = 2.0  # of a buyer: a decision that takes longer, retries included, comes too late
_TICK_S = 1e-9  # a moment ends after it


@dataclass(frozen=True, slots=True)
class Course:
    """``bins_s`` are the left edges of bins of ``BIN_S``, ``windows_s`` those of overlapping windows of ``WINDOW_S``.

    Rates are per second. ``p95_ms`` is of purchases from intended start to answer, by the moment of the answer; nan
    where a bin has none. ``errors_s``: by outcome (failed, unknown), the moments when such tries ended. ``lasts_s``
    is how long there were both stock and buyers: until the whole of it was acknowledged, else to the end of arrivals;
    ``ended_s``, when nobody waited for an answer any more, may be later. ``took_s`` is of requests, not
    of purchases, and reads of products are among them: a try without an answer counts until it was given up and sent
    again, and is nan if it was not; a read without one, until its user's next or the end.
    """

    ended_s: float
    lasts_s: float
    bins_s: Floats
    sold: Floats
    refused: Floats
    p95_ms: Floats
    errors_s: dict[Outcome, Floats]
    windows_s: Floats
    window_goodput: Floats
    window_p95_ms: Floats
    arrived_s: Floats  # each purchase's intended start
    served: Bools  # whether the same purchases were decided, and in time
    answered_s: Floats  # each decided purchase's answer, ascending
    invoked_s: Floats  # of the same, when it was sent
    latency_ms: Floats  # of the same, from intended start to answer
    sent_s: Floats  # when each request was sent
    took_s: Floats  # of the same, until its answer

    @property
    def offered_per_s(self) -> float | None:
        """Purchases that arrived per second, from the first to the last while stock lasted; None if all at once."""
        arrived_s = self.arrived_s[self.arrived_s < self.lasts_s]
        span_s = float(np.ptp(arrived_s)) if len(arrived_s) else 0.0
        return (len(arrived_s) - 1) / span_s if span_s > 0 else None

    def errors_per_s(self, outcome: Outcome) -> Floats:
        """Tries that ended so, in each bin."""
        return np.histogram(self.errors_s[outcome], np.append(self.bins_s, self.bins_s[-1] + BIN_S))[0] / BIN_S

    def availability(self, from_s: float, to_s: float) -> float | None:
        """Share of the purchases that arrived in this time, and while stock lasted, which were decided in time."""
        return self._share(self._arrived(from_s, to_s))

    @property
    def worst_second(self) -> float | None:
        """The least availability of any whole second while stock lasted."""
        shares = [self.availability(at_s, at_s + 1.0) for at_s in np.arange(0.0, self.lasts_s - 1.0 + 1e-9)]
        return min((share for share in shares if share is not None), default=None)

    def availability_within(
        self, spans_s: Sequence[tuple[float, float]], but_s: Sequence[tuple[float, float]]
    ) -> float | None:
        """The same of the purchases that arrived within any of the first spans, and none of the others."""
        chosen = np.zeros(len(self.arrived_s), np.bool_)
        for from_s, to_s in spans_s:
            chosen |= self._arrived(from_s, to_s)
        for from_s, to_s in but_s:
            chosen &= ~self._arrived(from_s, to_s)
        return self._share(chosen)

    def slowest_request_s(self, from_s: float) -> float | None:
        """Of the requests that were under way at this moment, or sent later."""
        took_s = self.took_s[(self.sent_s + self.took_s >= from_s) & ~np.isnan(self.took_s)]
        return float(took_s.max()) if len(took_s) else None

    def _arrived(self, from_s: float, to_s: float) -> Bools:
        return (self.arrived_s >= from_s) & (self.arrived_s < min(to_s, self.lasts_s))

    def _share(self, chosen: Bools) -> float | None:
        return float(self.served[chosen].mean()) if chosen.any() else None


def course(bundle: Bundle, history: History, began_ns: int, sell_out_ns: int | None) -> Course:
    """The course of the load in ``bundle``; ``sell_out_ns`` is when the whole stock was acknowledged, if it was."""
    purchases, tries = history.purchases, history.tries
    load = ~purchases.in_drain
    ended_ns = bundle.trial.moments.load_ended_ns or int(tries.invoked_ns.max(initial=began_ns))
    ended_s = max((ended_ns - began_ns) / 1e9, 1.01 * BIN_S)
    decided = load & np.isin(purchases.outcome, [SOLD, SOLD_OUT, LIMITED]) & (purchases.returned_ns < NEVER)
    order = np.argsort(purchases.returned_ns[decided], kind="stable")
    returned_ns = purchases.returned_ns[decided][order]
    answered_s = _since(returned_ns, began_ns)
    latency_ms = (returned_ns - tries.intended_ns[purchases.first[decided]][order]) / 1e6
    sold = purchases.outcome[decided][order] == SOLD
    in_time = purchases.returned_ns[load] - tries.intended_ns[purchases.first[load]] <= PATIENCE_S * 1e9
    edges = np.arange(0.0, int(ended_s / BIN_S) + 1) * np.float64(
        BIN_S
    )  # whole bins only: half a bin looks like a slump
    starts = np.arange(0.0, max(ended_s - WINDOW_S, 0.0) + STEP_S / 2, STEP_S)
    sent = np.flatnonzero(~tries.in_drain)
    looked_s, shown_s = _reads_s(bundle, began_ns, ended_s)
    arrived_s = _since(tries.intended_ns[purchases.first[load]], began_ns)
    over_s = (sell_out_ns - began_ns) / 1e9 if sell_out_ns is not None else _arrivals_over_s(bundle, arrived_s)
    return Course(
        ended_s=ended_s,
        lasts_s=min(ended_s, over_s),
        bins_s=edges[:-1],
        sold=np.histogram(answered_s[sold], edges)[0] / BIN_S,
        refused=np.histogram(answered_s[~sold], edges)[0] / BIN_S,
        p95_ms=_p95(answered_s, latency_ms, edges[:-1], BIN_S),
        errors_s={
            outcome: np.sort(_ends_s(history, code, began_ns))
            for outcome, code in ((Outcome.FAILED, FAILED), (Outcome.UNKNOWN, UNKNOWN))
        },
        windows_s=starts,
        window_goodput=np.diff(np.searchsorted(answered_s, [starts, starts + WINDOW_S]), axis=0)[0] / WINDOW_S,
        window_p95_ms=_p95(answered_s, latency_ms, starts, WINDOW_S),
        arrived_s=arrived_s,
        served=decided[load] & in_time,
        answered_s=answered_s,
        invoked_s=_since(purchases.invoked_ns[decided][order], began_ns),
        latency_ms=latency_ms,
        sent_s=np.append(_since(tries.invoked_ns[sent], began_ns), looked_s),
        took_s=np.append(_took_s(history, sent), shown_s),
    )


def _arrivals_over_s(bundle: Bundle, arrived_s: Floats) -> float:
    """When nobody was to come any more: with the last arrival of a load that was given its time.

    If that was long before its end, those who should have come were waiting for their answers.
    """
    run_time_s = float(bundle.trial.parameters.get("run_time_s") or np.inf)
    last_s = float(arrived_s.max(initial=0.0)) + _TICK_S
    return last_s if last_s > run_time_s - WINDOW_S else run_time_s


def _ends_s(history: History, code: int, began_ns: int) -> Floats:
    """When the load's tries with this outcome ended; one without an answer, when it was sent."""
    tries = history.tries
    chosen = ~tries.in_drain & (tries.outcome == code)
    returned_ns, invoked_ns = tries.returned_ns[chosen], tries.invoked_ns[chosen]
    return _since(np.where(returned_ns == NEVER, invoked_ns, returned_ns), began_ns)


def _took_s(history: History, sent: Positions) -> Floats:
    """From sending to the answer; without one, until it was given up, which is a pause before it was sent again."""
    tries = history.tries
    took_s = np.asarray((tries.returned_ns[sent] - tries.invoked_ns[sent]) / 1e9, np.float64)
    silent = tries.returned_ns[sent] == NEVER
    took_s[silent] = np.nan
    if not silent.any():
        return took_s
    order = np.lexsort((tries.invoked_ns, tries.key))  # by purchase, in the order of sending
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    for position in np.flatnonzero(silent):
        this = sent[position]
        later = order[place[this] + 1 :]
        again = next((each for each in later[:2] if tries.intended_ns[each] > tries.invoked_ns[this]), None)
        if again is not None and tries.key[again] == tries.key[this]:
            pause_s = pause_before_retry(Answer(Outcome.UNKNOWN), int(tries.number[again]), at_most=NEVER) or 0.0
            took_s[position] = max(0.0, (tries.intended_ns[again] - tries.invoked_ns[this]) / 1e9 - pause_s)
    return took_s


def _reads_s(bundle: Bundle, began_ns: int, ended_s: float) -> tuple[Floats, Floats]:
    """When each read of a product was sent, and what it took."""
    reads = bundle.reads.sort_values(["user", "invoked_ns"], kind="stable")
    sent_s = (reads["invoked_ns"].to_numpy(np.float64) - began_ns) / 1e9
    shown_s = (reads["returned_ns"].to_numpy(np.float64, na_value=np.nan) - began_ns) / 1e9
    users = reads["user"].to_numpy()
    until_s = np.full(len(sent_s), ended_s)
    again = np.flatnonzero(users[1:] == users[:-1])
    until_s[again] = sent_s[again + 1]
    return sent_s, np.where(np.isnan(shown_s), np.maximum(until_s - sent_s, 0.0), shown_s - sent_s)


def _p95(answered_s: Floats, latency_ms: Floats, starts: Floats, width_s: float) -> Floats:
    first, last = np.searchsorted(answered_s, starts), np.searchsorted(answered_s, starts + width_s)
    found = np.full(len(starts), np.nan)
    for place in np.flatnonzero(last > first):
        found[place] = np.quantile(latency_ms[first[place] : last[place]], 0.95, method="inverted_cdf")
    return found


def _since(stamps_ns: npt.NDArray[np.int64], began_ns: int) -> Floats:
    return np.asarray((stamps_ns - began_ns) / 1e9, np.float64)
