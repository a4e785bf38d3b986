"""The harness's own Locust arguments: names, defaults, help and validation, once.

Every default has its final type and none is None, because values from Locust's web UI bypass argparse and keep the
type of the default at best. ``frozen`` therefore checks everything again when a run starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from flashbench.errors import UsageError

DEFAULT_USERS = 200
MOST_SKUS = 10_000
MOST_UNITS = 10**9
MOST_TABS = 32  # of one user


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a run was asked to do, checked. ``per_user_limit`` 0 is no limit; ``think_ms`` is a mean."""

    strategy: str = "row_lock"
    stock: int = 100
    quantity: int = 1
    quantity_up_to: int = 0
    tabs: int = 1
    skus: int = 1
    per_user_limit: int = 0
    seed: int = 1
    attempts: int = 5
    think_ms: float = 500.0
    twin_share: float = 0.0
    read_share: float = 0.9
    arrivals_per_s: float = 100.0
    target: str = ""
    evidence: str = "results"
    admin_token: str = ""
    database_url: str = ""
    redis_url: str = ""

    @property
    def evidence_folder(self) -> Path:
        return Path(self.evidence)


HELP: dict[str, str] = {
    "strategy": "how the target deducts stock: a name, or path/to/file.py:ClassName; given again, the run is repeated",
    "stock": "units of each SKU",
    "quantity": "units that each purchase asks for",
    "quantity_up_to": "purchases ask for any number of units from --quantity to this, 0 for always --quantity",
    "tabs": "purchases that a user makes at once, each with a key of its own",
    "skus": "number of SKUs; the first is the hottest",
    "per_user_limit": "units a user may buy in the whole sale, 0 for no limit",
    "seed": "seed of every random choice",
    "attempts": "purchases (or visits) that each user makes when no run time is given",
    "think_ms": "mean time a user thinks between two purchases, milliseconds",
    "twin_share": "share of purchases sent twice at once under one key, 0 to 1",
    "read_share": "share of visits that only look, 0 to 1 (browse_and_buy)",
    "arrivals_per_s": "shoppers who arrive per second, all users together, whatever the target does (sustained)",
    "target": "target file of a service that is not the reference app, for --host",
    "evidence": "folder that receives a folder per trial",
    "admin_token": "the target's admin token (or FLASHBENCH_ADMIN_TOKEN)",
    "database_url": "Postgres that the harness may read, or start its own app on (or FLASHBENCH_DATABASE_URL)",
    "redis_url": "Redis that the harness may read, or start its own app on (or FLASHBENCH_REDIS_URL)",
}
SECRETS = ("admin_token", "database_url", "redis_url")

# What a suite may set for a trial; how and where a run is done is not the suite's business.
_OF_A_SUITE = (
    *("stock", "quantity", "quantity_up_to", "skus", "per_user_limit", "tabs", "attempts"),
    *("think_ms", "twin_share", "read_share", "arrivals_per_s"),
)


def parameter_names() -> tuple[str, ...]:
    """The arguments that shape a trial, as they are written in a suite file."""
    return _OF_A_SUITE


def defaults() -> dict[str, Any]:
    """Every argument's default, by name."""
    return {field.name: field.default for field in fields(LoadOptions)}


def frozen(values: Mapping[str, Any]) -> LoadOptions:
    """Check ``values`` (missing ones take their default, others are ignored) and freeze them.

    Numbers may be strings, as the web UI sends them. UsageError with one sentence for the first that is wrong.
    """
    known = {**defaults(), **{name: values[name] for name in defaults() if values.get(name) is not None}}
    options = LoadOptions(
        strategy=str(known["strategy"]).strip(),
        stock=_whole("stock", known["stock"], 0, MOST_UNITS),
        quantity=_whole("quantity", known["quantity"], 1, MOST_UNITS),
        quantity_up_to=_whole("quantity_up_to", known["quantity_up_to"], 0, MOST_UNITS),
        tabs=_whole("tabs", known["tabs"], 1, MOST_TABS),
        skus=_whole("skus", known["skus"], 1, MOST_SKUS),
        per_user_limit=_whole("per_user_limit", known["per_user_limit"], 0, MOST_UNITS),
        seed=_whole("seed", known["seed"], 0, 2**63 - 1),
        attempts=_whole("attempts", known["attempts"], 1, 10**6),
        think_ms=_number("think_ms", known["think_ms"], 0, 3_600_000),
        twin_share=_number("twin_share", known["twin_share"], 0, 1),
        read_share=_number("read_share", known["read_share"], 0, 1),
        arrivals_per_s=_number("arrivals_per_s", known["arrivals_per_s"], 0.01, 100_000),
        **{name: str(known[name]).strip() for name in ("target", "evidence", *SECRETS)},
    )
    if not options.strategy:
        raise UsageError("--strategy is empty: name a strategy, or path/to/file.py:ClassName.")
    if not options.evidence:
        raise UsageError("--evidence is empty: name the folder that is to receive the evidence.")
    if 0 < options.quantity_up_to < options.quantity:
        raise UsageError(
            f"--quantity-up-to {options.quantity_up_to} is less than --quantity {options.quantity}:"
            " leave it out to have purchases of one quantity only."
        )
    if 0 < options.per_user_limit < options.quantity:
        raise UsageError(
            f"--per-user-limit {options.per_user_limit} is less than --quantity {options.quantity}:"
            " nobody could buy anything."
        )
    return options


def check_ramp(users: int, spawn_rate: float, run_time_s: float) -> None:
    """UsageError if the barrier would only open after the run has ended. ``run_time_s`` 0 is no limit."""
    if users < 1:
        raise UsageError(f"-u {users}: a run needs at least one user.")
    if not spawn_rate > 0:
        raise UsageError(f"-r {spawn_rate:g}: the spawn rate must be greater than 0.")
    if run_time_s and users / spawn_rate - 1 >= run_time_s:
        raise UsageError(
            f"{users} users at {spawn_rate:g} a second are not all there before the run ends after {run_time_s:g} s:"
            f" give -r {users} or a longer -t."
        )


def _whole(name: str, value: Any, least: int, most: int) -> int:
    flag = "--" + name.replace("_", "-")
    text = str(value).strip()
    digits = text[1:] if text[:1] in ("-", "+") else text
    if isinstance(value, bool) or not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        raise UsageError(f"{flag} must be a whole number, not {text!r}.")
    if not least <= int(text) <= most:
        raise UsageError(f"{flag} must be between {least} and {most}, not {int(text)}.")
    return int(text)


def _number(name: str, value: Any, least: float, most: float) -> float:
    flag = "--" + name.replace("_", "-")
    try:
        number = float(str(value).strip())
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise UsageError(f"{flag} must be a number between {least:g} and {most:g}, not {str(value).strip()!r}.")
    return number
