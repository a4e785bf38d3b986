"""Broken on purpose: a time-out is taken for a refusal."""

from __future__ import annotations

import asyncio

from target_app.strategies.protocol import Purchase, Resources, Result, SoldOut, Strategy

LIMIT_S = 0.02


class TimeoutAsSoldOut(Strategy):
    """The guarded transaction, and an answer that does not wait for it."""

    name = "timeout_as_sold_out"
    summary = "answers sold out after 20 ms, whatever happens then"

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._running: set[asyncio.Task[Result]] = set()

    async def buy(self, purchase: Purchase) -> Result:
        work = asyncio.create_task(self.resources.ledger.commit(purchase))
        self._running.add(work)
        work.add_done_callback(self._running.discard)
        done, _ = await asyncio.wait((work,), timeout=LIMIT_S)
        return work.result() if done else SoldOut()  # the mistake: nobody knows yet
