"""The JSON documents of a trial, as validated models. Field names here are the file format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from flashbench.vocabulary import ExitCode, Tier, Validity, Verdict

SCHEMA_VERSION: Final = 2  # 2 added `alone`; what an older version wrote is read as it is

TRIAL = "trial.json"
STOCK = "stock.json"
LEDGER = "ledger.parquet"
STATED_LEDGER = "ledger-stated.parquet"
FAULTS = "faults.jsonl"
TELEMETRY = "telemetry.parquet"
MANIFEST = "manifest.json"
VERDICT = "verdict.json"
DRAFT = ".draft"  # ends the name of a file that is not whole yet
SUITE = "suite.json"
# What is made from the evidence, in the same folder; never part of it. Folders (plots) are not evidence either.
DERIVED = frozenset({VERDICT, "report.html", "report.md", "report.json", "junit.xml"})
DRAIN_WORKER = "drain"  # the label under which the drain's tries are recorded


class Document(BaseModel):
    """Base of every document: unknown keys are refused, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_json(self) -> str:
        """Indented JSON with a final newline."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse and validate; pydantic.ValidationError names what is wrong."""
        return cls.model_validate_json(text)


class SaleItem(Document):
    """One SKU of a sale. ``price`` is in the currency's minor unit."""

    sku: str
    stock: Annotated[int, Field(ge=0)]
    price: Annotated[int, Field(ge=0)] = 100


class SaleSpec(Document):
    """What a sale is made of. ``per_user_limit`` 0 means no limit."""

    strategy: str
    items: tuple[SaleItem, ...]
    per_user_limit: Annotated[int, Field(ge=0)] = 0


class CounterDeclaration(Document):
    """Where a strategy keeps its stock counter in Redis, so that the harness can read it by itself.

    ``key`` is a template with ``{sale_id}`` and ``{sku}``; the key is a hash with these two fields
    (``held_field`` may be null), or a plain string if ``remaining_field`` is null.
    """

    key: str
    remaining_field: str | None = None
    held_field: str | None = None


class WorkerClosing(Document):
    """``worker-<label>.closed.json``: a load worker's last word about its own files.

    ``problems`` are sentences that bar a PASS.
    """

    worker: str
    tries: int
    reads: int
    tries_sha256: str
    reads_sha256: str
    cut_off: int  # tries in flight when the drain limit passed, recorded as unknown
    peak_in_flight: int
    loop_lag_p99_ms: float
    loop_lag_max_ms: float
    cpu_share: float  # of one core, over the load
    unsent: int = 0  # tries and reads that never left, for want of a socket or a port
    own_clock: bool = False  # its stamps are of another machine's clock than the trial's
    records_lost: bool = False  # some could not be written
    problems: tuple[str, ...] = ()


class Moments(Document):
    """The stations of a trial in CLOCK_MONOTONIC nanoseconds, and one anchor to the calendar."""

    opened_ns: int
    released_ns: int | None = None  # the barrier; null if the load never started
    load_ended_ns: int | None = None
    drain_started_ns: int | None = None
    drain_ended_ns: int | None = None
    collected_ns: int | None = None
    anchor_monotonic_ns: int
    anchor_unix_ns: int


class Quiescence(Document):
    """Whether the system came to rest before it was read, and how that was established."""

    reached: bool
    waited_s: float
    snapshots_apart_s: float
    reason: str = ""  # what was still moving


class Cost(Document):
    """What the stores did for the load phase; null where the harness could not read the store."""

    postgres_statements: int | None = None
    postgres_commits: int | None = None
    postgres_rollbacks: int | None = None
    redis_commands: int | None = None


class PlannedFault(Document):
    """A fault that a trial is to meet: from ``at_s`` after the load's release, for ``for_s`` seconds.

    ``options`` is what it was told beside that, such as which of the stores it is about.
    """

    fault: str
    at_s: Annotated[float, Field(ge=0)]
    for_s: Annotated[float, Field(gt=0)]
    options: dict[str, str | int | float | bool] = {}


class TrialDocument(Document):
    """``trial.json``. ``problems`` are sentences that bar a PASS; each was true when it was written."""

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    trial: str  # the folder's name
    suite: str | None = None
    strategy: str  # a registered name
    strategy_source: str | None = None  # how it was named, if by path
    control: bool = False
    scenario: str
    case: str | None = None  # the suite's name for this scenario with these parameters and faults
    alone: bool = True  # no other trial ran at the same time, so figures mean something
    parameters: dict[str, Any]
    fault: str | None = None  # the planned faults' names, joined by +
    planned_faults: tuple[PlannedFault, ...] = ()
    seed: int
    expectation: str = "pass"
    sale_id: str | None = None  # null if the sale could not be opened
    sale: SaleSpec
    counter: CounterDeclaration | None = None
    workers: tuple[str, ...]  # labels expected to have left a closing, the drain's not among them
    closings: tuple[WorkerClosing, ...] = ()
    moments: Moments
    quiescence: Quiescence | None = None
    cost: Cost = Cost()
    ledger_source: Literal["postgres", "target", "none"] = "none"
    interrupted: bool = False
    stores_lost: bool = False  # the harness could not read, in the end, the stores that it had read before
    companions_lost: bool = False  # telemetry, or who does the faults, did not see the trial to its end
    wiring: dict[str, Any] = {}  # what lay between the app and its stores, and the app's settings; empty: nothing
    fingerprint: dict[str, dict[str, Any]] = {}
    problems: tuple[str, ...] = ()

    @property
    def one_clock(self) -> bool:
        """Whether all stamps can be held against each other."""
        return not any(closing.own_clock for closing in self.closings)

    @property
    def case_name(self) -> str:
        """Trials of one case may be compared with each other."""
        return self.case or "-".join(filter(None, (self.scenario, self.fault)))


class StoreReading(Document):
    """One SKU as the stores have it. Null where a store has, or declares, nothing."""

    sku: str
    initial: int
    sold: int
    postgres_remaining: int | None
    redis_remaining: int | None = None
    redis_held: int | None = None


class StockSnapshot(Document):
    """All SKUs at one moment. ``source`` says who read them."""

    at_ns: int
    source: Literal["stores", "target"]
    items: tuple[StoreReading, ...]


class StockDocument(Document):
    """``stock.json``: every snapshot in time order; the last one of each source is the final state."""

    snapshots: tuple[StockSnapshot, ...]


class FileEntry(Document):
    """One file of the manifest."""

    name: str
    sha256: str
    bytes: int
    rows: int | None = None


class ManifestDocument(Document):
    """``manifest.json``: every file of the trial but itself and ``verdict.json``."""

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    files: tuple[FileEntry, ...]


class StoryEvent(Document):
    """A try, from when it was sent until it was answered, or an order, when the database says it was made."""

    kind: Literal["try", "order"]
    from_ms: float | None  # since the load was released
    to_ms: float | None = None
    who: str
    what: str
    outcome: str | None = None


class StoryDocument(Document):
    """The fewest tries and orders that show a violation, in time order; ``left_out`` are more of the same kind."""

    events: tuple[StoryEvent, ...] = ()
    left_out: int = 0
    facts: tuple[str, ...] = ()  # what the stores said
    purchases: int = 0  # that had been sent when the story was complete; all of the trial's if the end shows it


class FindingDocument(Document):
    """What one invariant's check found."""

    invariant: str
    title: str
    status: Literal["held", "broken", "undecided"]
    sentence: str
    numbers: dict[str, int | float | str | None] = {}
    tries: tuple[dict[str, Any], ...] = ()  # the offending tries, at most a handful
    rows: tuple[dict[str, Any], ...] = ()  # the offending ledger rows
    offending: int = 0  # how many there are in all
    story: StoryDocument | None = None


class VerdictDocument(Document):
    """``verdict.json``: derived, so never part of the manifest."""

    trial: str
    strategy: str
    control: bool
    fault: str | None = None
    expectation: str
    verdict: Verdict
    validity: Validity
    tier: Tier
    met: bool  # the expectation was met: PASS for `pass`, FAIL by that invariant for `fail:I…`
    findings: tuple[FindingDocument, ...]
    reasons: tuple[str, ...] = ()  # why UNPROVEN
    invalid_reasons: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()  # each identity with its numbers, as printed
    figures: tuple[str, ...] = ()  # what else was measured, as printed; it decides nothing

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.of(self.verdict, self.validity)


class PlannedTrial(Document):
    """One trial of a suite, by its folder's name. ``expectation`` is the suite's, not what the trial says of itself."""

    trial: str
    strategy: str
    scenario: str
    case: str | None = None
    seed: int
    control: bool = False
    fault: str | None = None
    expectation: str = "pass"


class SuiteDocument(Document):
    """``suite.json``: what a suite set out to run, written before its first trial.

    A suite is judged against ``trials``: one that left no folder makes it UNPROVEN, as do ``interrupted`` and each of
    the sentences in ``problems``.
    """

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    suite: str
    trials: tuple[PlannedTrial, ...]
    seed: int | None = None
    command: tuple[str, ...] = ()  # as it was typed, argv[0] first
    started_unix_s: float | None = None
    interrupted: bool = False
    problems: tuple[str, ...] = ()
    fingerprint: dict[str, dict[str, Any]] = {}
    cards: dict[str, dict[str, str]] = {}  # by strategy, what its CARD.md says: heading and text


class FaultEvent(Document):
    """A line of ``faults.jsonl``. A fault that never ``bit`` proves nothing; one never ``healed`` spoils the drain.

    ``place`` is the fault's among the trial's planned ones, from 0.
    """

    fault: str
    place: Annotated[int, Field(ge=0)] = 0
    step: Literal["injected", "bit", "healed"]
    at_ns: int
    detail: str = ""


def fault_events(text: bytes) -> tuple[FaultEvent, ...]:
    """The lines of ``faults.jsonl``; ValidationError about the first that is none."""
    return tuple(FaultEvent.from_json(line) for line in text.splitlines() if line.strip())


def lasting_faults(events: Iterable[FaultEvent]) -> tuple[str, ...]:
    """The faults that were injected and not seen to be healed, by name."""
    steps: dict[str, set[tuple[int, str]]] = {"injected": set(), "bit": set(), "healed": set()}
    for each in events:
        steps[each.step].add((each.place, each.fault))
    return tuple(fault for _, fault in sorted(steps["injected"] - steps["healed"]))


class CaughtControl(Document):
    """Whether a scenario's control was seen to break what it is meant to break."""

    scenario: str
    control: str
    breaks: str
    caught: int  # trials in which that invariant was broken
    trials: int
    at_least: float = 0.0  # of all such trials, with 95 % confidence
    also: tuple[str, ...] = ()  # other invariants that some trial found broken
    purchases: int | None = None  # sent until it could be seen; the median of the trials that saw it


class SuiteVerdict(Document):
    """What a suite's trials say together."""

    suite: str
    verdict: Verdict
    validity: Validity
    trials: tuple[VerdictDocument, ...]
    controls: tuple[CaughtControl, ...] = ()
    reasons: tuple[str, ...] = ()  # why not PASS, one sentence each
    invalid_reasons: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.of(self.verdict, self.validity)
