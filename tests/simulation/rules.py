"""The safety rules of the strategies, one by one, so that each can be removed and missed.

A simulation runs with a set of broken rules (none, for the real protocol). The text of a rule says what is done and
what is lost without it; the variant without it does the plausible wrong thing that the text names.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, StrEnum


class Part(StrEnum):
    """Which protocol a rule belongs to."""

    GUARD = "the guarded transaction"  # shared by every strategy
    LUA = "redis_lua"
    LOCK = "redis_lock"


class Rule(Enum):
    """A rule with its part and its reason, also as its docstring."""

    __doc__: str
    part: Part

    def __new__(cls, part: Part, reason: str) -> Rule:
        rule = object.__new__(cls)
        rule._value_ = f"{part.name}: {reason}"
        rule.part = part
        rule.__doc__ = reason
        return rule

    # The guarded transaction -------------------------------------------------------------------------------------
    STOCK_ROW_LOCKED = (
        Part.GUARD,
        "The stock row is locked before it is read. A plain read and a later write lose updates: oversell.",
    )
    KEY_AFTER_LOCK = (
        Part.GUARD,
        "The key is looked up in a new statement after the row lock. Before it, twins both find nothing and the second "
        "is told sold out although its key was sold.",
    )
    LIMIT_AFTER_KEY = (
        Part.GUARD,
        "The limit is tested after the stock row and the key. Before them, the twin of a sale is told limited.",
    )
    LIMIT_BY_BUYERS_ROW = (
        Part.GUARD,
        "The limit is a row per user that purchases of every SKU lock. Counting orders under one SKU's lock lets a "
        "user pass the limit across SKUs.",
    )
    CONFLICT_ROLLS_BACK = (
        Part.GUARD,
        "A conflict on inserting the order undoes everything. Doing nothing after the decrement loses a unit (the same "
        "key sent for two SKUs at once).",
    )
    COMMIT_ERROR_IS_UNKNOWN = (
        Part.GUARD,
        "An error, time-out or cancellation once COMMIT was sent is unknown. Called failed, the order may exist.",
    )
    TRANSACTION_IS_BOUNDED = (
        Part.GUARD,
        "The server ends a transaction that passes its time limit, idle or not. Without it one stopped worker keeps "
        "the row lock, and every mode waits for it.",
    )
    ONE_GUARD_IN_EVERY_MODE = (
        Part.GUARD,
        "Without Redis a purchase takes the same guarded transaction. A simpler path meets workers in the other mode.",
    )

    # redis_lua ---------------------------------------------------------------------------------------------------
    REFUSE_ON_SUM = (
        Part.LUA,
        "Redis refuses only if avail + held < quantity. On avail alone, a hold that fails has refused a buyer wrongly.",
    )
    MISSING_IS_NOT_ZERO = (Part.LUA, "A missing counter decides nothing. Read as zero, a flush refuses everybody.")
    LOOK_UP_BEFORE_REFUSAL = (
        Part.LUA,
        "Before a refusal by Redis is answered its key is looked up in Postgres. Else the retry of a sale whose answer "
        "was lost is told sold out.",
    )
    LOOK_UP_AFTER_DECISION = (
        Part.LUA,
        "That look-up starts after the decision of Redis. Before it, the twin may be sold in between.",
    )
    LOOK_UP_MUST_ANSWER = (
        Part.LUA,
        "A look-up that fails is not an absent key: the answer is unavailable, not the refusal.",
    )
    REPLAY_NEVER_SETTLES = (
        Part.LUA,
        "A replay gives its hold back. Settling it counts one sale twice: stale-low.",
    )
    FAILURE_NEVER_SETTLES = (Part.LUA, "A failed or refused purchase gives its hold back. Settled: stale-low.")
    REAPER_GIVES_BACK = (
        Part.LUA,
        "The reaper gives back, it does not settle: the owner may have failed. Else stale-low.",
    )
    UNKNOWN_NEVER_SETTLES = (Part.LUA, "An unknown commit is not settled: it may not have happened. Else stale-low.")
    UNKNOWN_KEEPS_HOLD = (
        Part.LUA,
        "An unknown commit leaves its hold to the reaper, which marks the counter stale. Given back at once as a "
        "failure is, the sum stays safe, but nothing tells Redis of a sale that did happen.",
    )
    DOUBT_MARKS_STALE = (
        Part.LUA,
        "An unknown commit whose hold is gone already marks the counter stale: a seed that read Postgres before that "
        "commit may have dropped the hold, and then no reaper will find it. Else the stores end up apart.",
    )
    SETTLE_NEEDS_TOKEN = (
        Part.LUA,
        "A hold is settled only if its own token is still there. A seed that dropped it may have counted the sale.",
    )
    GIVE_BACK_NEEDS_TOKEN = (
        Part.LUA,
        "A hold is given back only if its own token is still there. Given back twice, it is "
        "sold twice over, and the stores end up apart.",
    )
    TOKEN_PER_HOLD = (
        Part.LUA,
        "Every hold has a random token of its own. With the key as token, twins overwrite each other's hold "
        "and leak it.",
    )
    UNANSWERED_HOLD_NEVER_SETTLES = (
        Part.LUA,
        "A hold whose answer did not come is never settled. It may execute after a seed that has counted the sale.",
    )
    HOLDS_ARE_REAPED = (Part.LUA, "Holds past their lease are given back. Else a killed owner leaks its units.")
    REAPING_MARKS_STALE = (
        Part.LUA,
        "Reaping marks the counter stale: the owner may have committed, and only a seed will tell.",
    )
    SEED_BY_COMPARE_AND_SET = (
        Part.LUA,
        "A seed is refused if another seed came since its epoch was read. Else a seeder that slept writes an old "
        "figure over a fresh one. Never wrong in an answer (an old figure is stale-high), but the stores end up apart.",
    )
    SEED_DROPS_HOLDS = (
        Part.LUA,
        "A seed drops the holds. Kept (avail = remaining - held), those whose sale is counted already settle "
        "once more.",
    )
    SEED_KEEPS_MARKS = (
        Part.LUA,
        "A seed leaves the counter stale if it was marked or settled since the seeder looked. Else a sale made while "
        "it read Postgres is forgotten, and the stores end up apart.",
    )
    EPOCH_READ_FIRST = (
        Part.LUA,
        "The seeder reads the epoch before it reads Postgres. After it, an old figure passes the comparison.",
    )
    REFUSAL_MARKS_STALE = (
        Part.LUA,
        "A refusal or a replay by Postgres marks the counter stale. Else a counter that is too high stays so.",
    )
    UNHELD_COMMIT_MARKS_STALE = (
        Part.LUA,
        "A sale made without a hold while Redis is there marks the counter stale. Else the stores end up apart.",
    )
    UNHELD_COMMIT_NEVER_DEDUCTS = (
        Part.LUA,
        "A sale made without a hold takes nothing from the counter: a seed may have counted it. Else stale-low.",
    )
    OWED_IS_SEEDED = (
        Part.LUA,
        "What a worker sold while it believed Redis away, or could not tell Redis of, is seeded before the worker "
        "believes again. Else the stores end up apart.",
    )
    LIMIT_ON_SETTLED_ONLY = (
        Part.LUA,
        "Redis refuses for the limit only on settled quantity. On held quantity, a purchase that fails limits another.",
    )
    SEED_LEAVES_LIMITS_ALONE = (
        Part.LUA,
        "Seeding one SKU leaves the users' settled quantity alone: a sale of another SKU, whose hold stays, would be "
        "counted by the seed and again when it settles, and a user limited who is not.",
    )
    WAIT_FOR_HOLDS_IS_BOUNDED = (
        Part.LUA,
        "A buyer waits at most 300 ms for holds to settle, then takes the guarded path. Else a dead owner makes it "
        "wait.",
    )

    # redis_lock --------------------------------------------------------------------------------------------------
    FENCE_CHECKED = (
        Part.LOCK,
        "A holder writes only if its fencing token passes the stored fence. Else one that slept past its lease writes "
        "after its successor, and fences go back.",
    )
    FENCE_STRICTLY_GREATER = (
        Part.LOCK,
        "The token must be greater than the fence, not equal: a Redis that rolled back grants the same token twice.",
    )
    FENCED_IS_NOT_SOLD_OUT = (
        Part.LOCK,
        "No row updated is not sold out before it is known why: the fence refused, units may remain.",
    )
    GUARDED_PATH_LEAVES_FENCE = (
        Part.LOCK,
        "A write without a lock leaves the stored fence alone. Clearing it lets an old holder in again.",
    )
    RELEASE_BY_OWNER = (
        Part.LOCK,
        "A lock is released by comparing its owner first. Else one that slept deletes its successor's lock.",
    )
    RELEASE_AFTER_COMMIT = (Part.LOCK, "The lock is released after the commit. Before it, two holders write at once.")
    RELEASE_ALWAYS = (
        Part.LOCK,
        "Whoever sent an acquire sends a release, cancelled or failed or unanswered. Else the lock lives for nobody.",
    )
    RELEASE_SHIELDED = (
        Part.LOCK,
        "The release is shielded from cancellation. Else a client that leaves at that moment leaves the lock behind.",
    )
    FAILED_RELEASE_KEEPS_ANSWER = (Part.LOCK, "A release that fails after the commit leaves the answer sold.")
    LEASE_OUTLIVES_TRANSACTION = (
        Part.LOCK,
        "The lease is longer than the transaction's time limit. Else a lawful holder loses its lock while it writes.",
    )
    LOCK_EXPIRES = (Part.LOCK, "Lock and lease are set in one command. Set apart, a kill in between locks for ever.")
    COUNTER_RAISED_ON_LOSS = (
        Part.LOCK,
        "A holder that the fence refuses raises the token counter. Else, after a loss, no holder passes the fence "
        "again and the lock is of no use.",
    )
    COUNTER_RAISED_TO_MAX = (
        Part.LOCK,
        "It is raised to the greater of its own value and the fence. Set to the fence, it goes back and grants "
        "tokens twice.",
    )
    WAIT_FOR_LOCK_IS_BOUNDED = (
        Part.LOCK,
        "A buyer waits at most 300 ms for the lock, then takes the guarded path. Else a dead owner makes it wait.",
    )


def rules_of(*parts: Part) -> Iterator[Rule]:
    """The rules of some parts, in the order in which they are written."""
    return (rule for rule in Rule if rule.part in parts)
