"""The scripts of `redis_lua`, each one atomic step on the data of one sale."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from tests.simulation.rules import Rule
from tests.simulation.world import World

HOLD_LEASE_MS = 3_000.0


class Decision(Enum):
    """What HOLD says."""

    HELD = "held"
    WAIT = "units are held by others"
    SOLD_OUT = "sold out"
    LIMITED = "limited"
    MISSING = "no counter"


@dataclass(frozen=True, slots=True)
class Hold:
    """Units taken for a request until its fate is known."""

    quantity: int
    user: str
    lease_ends_ms: float


@dataclass(slots=True)
class Counter:
    """One hash per SKU, so that it is lost or restored as a whole. ``avail`` None: no counter, only a mark.

    ``epoch`` changes with every seed, ``version`` whenever something is settled or marked.
    """

    avail: int | None = None
    held: int = 0
    epoch: str = ""
    version: str = ""
    stale: bool = False
    holds: dict[str, Hold] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peek:
    """What a seeder must have seen before it reads Postgres."""

    epoch: str
    version: str
    stale: bool
    missing: bool


class LuaData:
    """The counters by SKU, and the settled quantity by user over all SKUs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.counters: dict[str, Counter] = {}
        self.settled: dict[str, int] = {}

    def copy(self) -> LuaData:
        """An independent copy."""
        copy = LuaData(self.world)
        copy.counters = {sku: replace(counter, holds=dict(counter.holds)) for sku, counter in self.counters.items()}
        copy.settled = dict(self.settled)
        return copy

    def hold(self, sku: str, token: str, quantity: int, user: str, limit: int) -> Decision:
        """Take units, or say why not."""
        obeys = self.world.obeys
        counter = self.counters.get(sku)
        if counter is None or counter.avail is None:
            return Decision.MISSING if obeys(Rule.MISSING_IS_NOT_ZERO) else Decision.SOLD_OUT
        if limit:
            spent = self.settled.get(user, 0)
            if not obeys(Rule.LIMIT_ON_SETTLED_ONLY):
                spent += sum(hold.quantity for hold in counter.holds.values() if hold.user == user)
            if spent + quantity > limit:
                return Decision.LIMITED
        if counter.avail >= quantity:
            counter.avail -= quantity
            counter.held += quantity
            counter.holds[token] = Hold(quantity, user, self.world.now_ms + HOLD_LEASE_MS)
            return Decision.HELD
        if counter.avail + counter.held >= quantity and obeys(Rule.REFUSE_ON_SUM):
            return Decision.WAIT
        return Decision.SOLD_OUT

    def settle(self, sku: str, token: str, quantity: int, user: str) -> object:
        """The sale of a hold is committed: its units are gone. A hold that is gone already leaves the counter stale."""
        counter = self.counters.get(sku)
        if counter is None or counter.avail is None:
            return "no counter"
        hold = counter.holds.pop(token, None)
        counter.version = token
        if hold is None and self.world.obeys(Rule.SETTLE_NEEDS_TOKEN):
            counter.stale = True
        else:
            counter.held -= quantity
            self.settled[user] = self.settled.get(user, 0) + quantity
        return counter

    def give_back(self, sku: str, token: str, quantity: int, *, marking: bool) -> object:
        """The units of a hold are free again; ``marking`` if Postgres has contradicted the counter."""
        counter = self.counters.get(sku)
        if counter is not None and counter.avail is not None:
            hold = counter.holds.pop(token, None)
            if hold is not None or not self.world.obeys(Rule.GIVE_BACK_NEEDS_TOKEN):
                counter.avail += quantity
                counter.held -= quantity
        if marking:
            self.mark(sku)
        return counter

    def doubt(self, sku: str, token: str) -> object:
        """Whether a hold was sold is unknown: the reaper will see to it, unless the hold is gone."""
        counter = self.counters.get(sku)
        return "left to the reaper" if counter is not None and token in counter.holds else self.mark(sku)

    def mark(self, sku: str) -> object:
        """The counter is too high, or may be. A missing one is marked too: a seeder may be reading Postgres for it."""
        counter = self.counters.setdefault(sku, Counter())
        counter.stale = True
        counter.version = self.world.fresh("v")
        return counter

    def reap(self, sku: str) -> object:
        """Give back the holds whose lease is over. Whether they were sold, only Postgres knows."""
        counter = self.counters.get(sku)
        if counter is None or counter.avail is None:
            return None
        over = [token for token, hold in counter.holds.items() if hold.lease_ends_ms <= self.world.now_ms]
        for token in over:
            quantity = counter.holds.pop(token).quantity
            counter.held -= quantity
            if self.world.obeys(Rule.REAPER_GIVES_BACK):
                counter.avail += quantity
        if over and self.world.obeys(Rule.REAPING_MARKS_STALE):
            self.mark(sku)
        return over

    def deduct(self, sku: str, quantity: int) -> object:
        """Only for the variant that takes a sale without a hold from the counter."""
        counter = self.counters.get(sku)
        if counter is not None and counter.avail is not None:
            counter.avail -= min(quantity, counter.avail)
        return counter

    def peek(self, sku: str) -> Peek:
        """The state on which a seed depends."""
        counter = self.counters.get(sku)
        if counter is None:
            return Peek("", "", stale=False, missing=True)
        return Peek(counter.epoch, counter.version, counter.stale, counter.avail is None)

    def seed(self, sku: str, seen: Peek, remaining: int, bought: dict[str, int]) -> bool:
        """Set the counter to what Postgres had after ``seen``; False if another seed came in between.

        ``bought`` is empty but in the variant that also sets the users' settled quantity.
        """
        obeys = self.world.obeys
        counter = self.counters.setdefault(sku, Counter())
        if counter.epoch != seen.epoch and obeys(Rule.SEED_BY_COMPARE_AND_SET):
            return False
        if obeys(Rule.SEED_DROPS_HOLDS):
            counter.holds.clear()
            counter.held = 0
        counter.avail = remaining - counter.held
        counter.epoch = self.world.fresh("e")
        counter.stale = counter.version != seen.version and obeys(Rule.SEED_KEEPS_MARKS)
        self.settled.update(bought)
        return True
