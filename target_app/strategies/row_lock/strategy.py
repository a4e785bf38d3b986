"""The plain database row lock: every purchase is one guarded transaction."""

from __future__ import annotations

from target_app.strategies.protocol import Purchase, Result, Strategy


class RowLock(Strategy):
    """``SELECT … FOR UPDATE`` and nothing else; Redis takes no part in a purchase."""

    name = "row_lock"
    summary = "Postgres row lock: SELECT … FOR UPDATE, check, update, insert, in one transaction"

    async def buy(self, purchase: Purchase) -> Result:
        return await self.resources.ledger.commit(purchase)
