"""Who is woken when units are freed or settled. If it errs, buyers wait their 300 ms in vain, or all ask at once."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from target_app.strategies.redis_lua.waiting import News, Waiting


async def woken(news: News) -> bool:
    task = asyncio.create_task(news.within(5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    done = task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return done


async def test_free_units_wake_the_first_whom_they_suffice() -> None:
    waiting = Waiting()
    with ExitStack() as stack:
        buyers = [stack.enter_context(waiting.for_units("k", quantity)) for quantity in (3, 2, 2, 1)]
        waiting.hear(b"3 10 k")
        assert [await woken(news) for news in buyers] == [True, False, False, False]
        for news in buyers:
            news.expect()
        waiting.hear(b"2 10 k")
        assert [await woken(news) for news in buyers] == [False, True, False, False]


async def test_units_gone_for_good_wake_everyone_who_wants_more() -> None:
    waiting = Waiting()
    with ExitStack() as stack:
        buyers = [stack.enter_context(waiting.for_units("k", quantity)) for quantity in (3, 1, 2)]
        waiting.hear(b"0 1 k")
        assert [await woken(news) for news in buyers] == [True, False, True]


async def test_news_of_another_counter_or_before_one_waits_wake_nobody() -> None:
    waiting = Waiting()
    waiting.hear(b"5 0 k")
    with waiting.for_units("k", 1) as news:
        waiting.hear(b"5 0 a key with spaces")
        assert not await woken(news)
    assert not waiting._lines


async def test_news_between_the_answer_and_the_waiting_is_not_missed() -> None:
    waiting = Waiting()
    with waiting.for_units("k", 1) as news:
        news.expect()
        waiting.hear(b"1 0 k")
        assert await woken(news)
