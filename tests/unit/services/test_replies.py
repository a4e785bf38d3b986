"""If these fail, the proxy throws away another answer than the one that a fault is about, or none."""

from __future__ import annotations

from random import Random

import pytest

from flashbench.services.proxy.behaviour import Behaviour
from flashbench.services.proxy.replies import Replies

COMMIT = Behaviour(drop_reply=True, matching="COMMIT")
PLAIN = Behaviour()


def talk(replies: Replies, behaviour: Behaviour, *requests: bytes) -> list[bool]:
    """Each request with its answer: whether that was dropped."""
    fates = []
    for request in requests:
        replies.asked(request, behaviour)
        fates.append(replies.dropped(behaviour))
    return fates


def test_only_the_answer_to_a_request_with_the_text_is_dropped() -> None:
    replies = Replies(Random(1))

    assert talk(replies, COMMIT, b"BEGIN", b"UPDATE stock", b"QCOMMIT\0") == [False, False, True]


def test_a_text_that_lies_across_two_pieces_is_found() -> None:
    replies = Replies(Random(1))
    for piece in (b"..C", b"OM", b"MI", b"T\0"):
        replies.asked(piece, COMMIT)

    assert replies.dropped(COMMIT)


def test_a_text_across_two_requests_is_none() -> None:
    assert talk(Replies(Random(1)), COMMIT, b"..COM", b"MIT..") == [False, False]


def test_without_a_text_every_answer_is_dropped() -> None:
    assert talk(Replies(Random(1)), Behaviour(drop_reply=True), b"GET", b"SET") == [True, True]


def test_all_pieces_of_an_answer_share_its_fate_and_the_next_answer_has_its_own() -> None:
    replies = Replies(Random(1))
    replies.asked(b"COMMIT", COMMIT)

    assert [replies.dropped(COMMIT) for _ in range(3)] == [True] * 3
    assert talk(replies, COMMIT, b"SELECT") == [False]


def test_what_was_asked_before_the_behaviour_began_is_answered() -> None:
    replies = Replies(Random(1))
    replies.asked(b"COMMIT", PLAIN)

    assert not replies.dropped(COMMIT)


def test_a_behaviour_that_has_ended_drops_nothing_more() -> None:
    replies = Replies(Random(1))
    replies.asked(b"COMMIT", COMMIT)

    assert not replies.dropped(PLAIN)


def test_a_connection_that_has_fallen_silent_stays_so() -> None:
    replies, silence = Replies(Random(1)), COMMIT.model_copy(update={"ending": "silence"})

    assert talk(replies, silence, b"SELECT", b"COMMIT", b"SELECT") == [False, True, True]
    assert talk(replies, PLAIN, b"SELECT") == [True]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_is_kept(share: float) -> None:
    behaviour = Behaviour(drop_reply=True, matching="COMMIT", share=share)
    fates = talk(Replies(Random(1)), behaviour, *[b"COMMIT"] * 2000)

    assert abs(sum(fates) / 2000 - share) < 0.04


def test_one_request_is_drawn_for_once_however_many_pieces_it_has() -> None:
    behaviour, dropped = Behaviour(drop_reply=True, share=0.5), 0
    for seed in range(200):
        replies = Replies(Random(seed))
        for _ in range(50):
            replies.asked(b"x", behaviour)
        dropped += replies.dropped(behaviour)

    assert 60 < dropped < 140
