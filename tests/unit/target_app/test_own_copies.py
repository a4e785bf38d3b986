"""If these fail, a worker answers with what is too old, brings an old value back, or remembers without end."""

from __future__ import annotations

import pytest

from target_app.cache.own_copies import OwnCopies
from target_app.ledger.postgres import Product


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def copies(clock: Clock) -> OwnCopies:
    return OwnCopies(2, clock)


def product(version: int) -> Product:
    return Product("a", 100, 10 - version, version)


def version(copies: OwnCopies, key: str = "a", at_least: int = -1) -> int | None:
    copy = copies.find(key, at_least)
    return copy.version if copy is not None else None


def test_a_copy_is_found_with_its_age_until_its_ttl_is_over(copies: OwnCopies, clock: Clock) -> None:
    copies.keep("a", product(3), ttl_s=1.0, age_s=0.25)
    clock.now_s += 0.5
    copy = copies.find("a")
    assert copy is not None
    assert (copy.product, copies.age_s(copy)) == (product(3), 0.75)
    clock.now_s += 0.25
    assert copies.find("a") is None


def test_what_does_not_exist_is_remembered_too(copies: OwnCopies) -> None:
    copies.keep("a", None, ttl_s=1.0)
    copy = copies.find("a")
    assert copy is not None
    assert copy.product is None


def test_a_late_answer_never_replaces_a_newer_one(copies: OwnCopies) -> None:
    copies.keep("a", product(5), ttl_s=1.0)
    for older in (product(4), None):
        copies.keep("a", older, ttl_s=1.0)
        assert version(copies) == 5
    copies.keep("a", product(6), ttl_s=1.0)
    assert version(copies) == 6


def test_a_tombstone_keeps_what_is_older_out_for_its_own_ttl(copies: OwnCopies, clock: Clock) -> None:
    copies.keep("a", product(6), ttl_s=9.0)
    copies.bury("a", 7, ttl_s=2.0)
    assert copies.find("a") is None
    copies.keep("a", product(6), ttl_s=9.0)
    assert copies.find("a") is None
    copies.keep("a", product(7), ttl_s=9.0)
    assert version(copies) == 7
    copies.bury("a", 7, ttl_s=2.0)
    assert version(copies) == 7, "it yields to a value of its own version"

    copies.bury("a", 8, ttl_s=2.0)
    clock.now_s += 2.0
    copies.keep("a", product(6), ttl_s=9.0)
    assert version(copies) == 6


def test_a_copy_that_is_older_than_what_redis_showed_is_gone_for_good(copies: OwnCopies) -> None:
    copies.keep("a", product(5), ttl_s=1.0)
    assert version(copies, at_least=5) == 5
    assert version(copies, at_least=6) is None
    assert version(copies) is None


def test_the_one_unread_for_longest_makes_room(copies: OwnCopies) -> None:
    for key in ("a", "b"):
        copies.keep(key, product(1), ttl_s=1.0)
    copies.find("a")
    copies.keep("c", product(1), ttl_s=1.0)
    assert [version(copies, key) for key in ("a", "b", "c")] == [1, None, 1]


def test_none_are_kept_where_none_may_be(clock: Clock) -> None:
    copies = OwnCopies(0, clock)
    copies.keep("a", product(1), ttl_s=1.0)
    copies.bury("a", 1, ttl_s=1.0)
    assert copies.find("a") is None
