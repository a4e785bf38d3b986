"""If these fail, the proxy mixes up a stream's bytes, hurries them, or lets one wait add to the next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flashbench.services.proxy.delay import DelayQueue, End

MOMENTS = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5), st.binary(max_size=4)), max_size=30)


@given(MOMENTS)
def test_pieces_keep_their_order_and_none_is_early(pieces: list[tuple[float, float, bytes]]) -> None:
    queue, came_s, latest_due_s = DelayQueue(), 0.0, 0.0
    for gap_s, delay_s, data in pieces:
        came_s += gap_s
        queue.put(data, came_s + delay_s)

    taken = []
    came_s = 0.0
    for gap_s, delay_s, _ in pieces:
        came_s += gap_s
        latest_due_s = max(latest_due_s, came_s + delay_s)
        assert queue.due_s == latest_due_s
        if latest_due_s > 0:
            assert queue.take(latest_due_s - 1e-6) is None
        taken.append(queue.take(latest_due_s))

    assert taken == [data for *_, data in pieces]
    assert (queue.due_s, queue.bytes) == (None, 0)


def test_waits_overlap() -> None:
    queue = DelayQueue()
    for number in range(100):
        queue.put(b"x", number * 0.001 + 0.05)

    assert queue.bytes == 100
    assert [queue.take(0.1 + 0.05) for _ in range(100)] == [b"x"] * 100


def test_an_end_stays_behind_the_bytes_before_it() -> None:
    queue = DelayQueue()
    queue.put(b"last words", 5.0)
    queue.put(End.CLOSED, 1.0)

    assert queue.take(4.9) is None
    assert [queue.take(5.0), queue.take(5.0), queue.take(5.0)] == [b"last words", End.CLOSED, None]


def test_what_is_forgotten_does_not_count_as_waiting() -> None:
    queue = DelayQueue()
    queue.put(b"abc", 1.0)
    queue.clear()

    assert (queue.bytes, queue.due_s, queue.take(2.0)) == (0, None, None)
