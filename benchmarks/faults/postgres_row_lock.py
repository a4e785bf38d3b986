"""Somebody else's transaction holds the stock row of the hottest product, and does not end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from benchmarks.fault import Fault, FaultError, Part, Scene
from benchmarks.held_lock import HeldLock

_LOCK = "SELECT 1 FROM stock WHERE sale_id = %(sale)s AND sku = %(sku)s FOR UPDATE"


class PostgresRowLock(Fault):
    """As by a report or a repair that began a transaction and forgot about it. Other products are sold as ever."""

    hurts = "postgres"
    takes = frozenset({Part.POSTGRES_LOCK})
    meets = frozenset({Part.POSTGRES_FLOW, Part.POSTGRES_REPLIES})
    relies = frozenset({Part.POSTGRES_ANSWERS})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._lock = HeldLock(scene.database_url)

    def inject(self) -> None:
        if not self.scene.skus:
            raise FaultError("the sale has no product whose row could be locked")
        self._lock.take([_LOCK], {"sale": self.scene.sale_id, "sku": self.scene.skus[0]})
        self.began_ns = time.monotonic_ns()

    def bite(self) -> str | None:
        waiting = [each for each in self._lock.sessions() if each.waits]
        if not any(each.waits_for_us for each in waiting):
            return None
        return f"{len(waiting)} sessions of the app wait for a lock, in a line behind the one that is held"

    def heal(self) -> None:
        self._lock.release()

    def healed(self) -> str | None:
        return "the lock is held no longer" if self._lock.released() else None
