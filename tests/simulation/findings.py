"""What can be wrong with a run."""

from __future__ import annotations

from enum import Enum


class Finding(Enum):
    """A kind of wrongness; the value says what it means for somebody."""

    # In answers and orders: what a buyer or a shop would lose.
    OVERSOLD = "more was sold than there was"
    UNIT_LOST = "initial is not sold + remaining"
    KEY_TWICE = "one key has two orders"
    SOLD_WITHOUT_ORDER = "sold was answered and there is no order"
    REFUSED_BUT_SOLD = "a key was refused and has an order, or got one later"
    FAILED_BUT_SOLD = "a try was answered as without effect and has made an order"
    FALSE_SOLD_OUT = "sold out was answered while enough remained"
    FALSE_LIMITED = "limited was answered while the limit was not reached"
    LIMIT_PASSED = "a user has more than the limit"
    FENCE_WENT_BACK = "a fencing token did not grow along seq"
    UNDECIDED = "a buyer got no decision with every fault healed"
    WAITED_TOO_LONG = "a buyer waited longer than any limit allows"
    NOT_EXHAUSTED = "units were left that nobody could buy"

    # In the stores, at every step.
    COUNTER_TOO_LOW = "avail + held is less than what Postgres has"
    COUNTER_TOO_HIGH = "avail + held is more than the initial stock"
    LIMIT_TOO_HIGH = "Redis counts more settled for a user than Postgres has"
    LOCK_TAKEN = "a lock was granted while its owner's lease ran"
    TWO_HOLDERS = "a lock was granted while its lawful owner was writing"
    TOKEN_TWICE = "a fencing token was granted that is not above the ones before it"
    LOCK_LEFT_BEHIND = "a request ended and left its lock although Redis was there"

    # In the stores, at rest.
    STORES_DISAGREE = "Redis and Postgres differ at rest"
    HOLDS_LEFT = "units are held by nobody"
    LOCK_FOR_EVER = "a lock outlives its lease"
    LOCK_OF_NO_USE = "with everything healed a lone buyer still does not get through by the lock"
    ENDLESS = "the run does not come to rest"
