"""The faults in the words that people use, and whom each of them hurts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from flashbench.evidence.documents import PlannedFault


class Hurts(StrEnum):
    """What a strategy has to do without, or does not get an answer from, while a fault lasts."""

    REDIS = "Redis"
    POSTGRES = "Postgres"
    APP = "the app"
    UNKNOWN = "something else"


_WORDS = {
    "redis_kill": "Redis killed",
    "redis_hang": "Redis hung",
    "redis_restart": "Redis restarted, empty",
    "redis_rollback": "Redis back with an old snapshot",
    "redis_pause": "Redis paused",
    "redis_flush": "Redis flushed",
    "redis_script_flush": "Redis' scripts flushed",
    "redis_full": "Redis out of memory",
    "redis_promotion": "Stale replica promoted",
    "net_latency": "Network to {store} slow",
    "net_blackhole": "Network to {store} black-holed",
    "net_reset": "Connections to {store} reset",
    "net_cut": "Answers of {store} cut off",
    "net_drop_reply": "Replies of {store}{matching} dropped",
    "postgres_stop": "Postgres stopped",
    "postgres_row_lock": "Row locked in Postgres",
    "postgres_terminate": "Postgres sessions terminated",
    "postgres_pool": "Postgres connections used up",
    "worker_kill": "App worker killed",
    "worker_hang": "App worker hung",
    "failpoint": "App worker {acted} {point}",
}
_STORES = {"redis": Hurts.REDIS, "postgres": Hurts.POSTGRES}
_ACTED = {"kill": "killed", "pause": "paused", "fail": "failing"}
_OF_THE_APP = ("worker", "failpoint", "app")
CRASHES = frozenset({"postgres_stop"})  # of Postgres


def said(fault: str, options: Mapping[str, Any]) -> str:
    """A fault's name for people.

    >>> said("net_drop_reply", {"store": "postgres", "matching": "COMMIT"})
    'Replies of Postgres to COMMIT dropped'
    >>> said("failpoint", {"point": "after_hold", "action": "kill"})
    'App worker killed after hold'
    >>> said("disk_full", {})
    'Disk full'
    """
    if fault not in _WORDS:
        words = fault.replace("_", " ").strip()
        return words[:1].upper() + words[1:]
    store = _STORES.get(str(options.get("store", "")))
    matching = str(options.get("matching", ""))
    return _WORDS[fault].format(
        store=store.value if store is not None else "a store",
        matching=f" to {matching}" if matching else "",
        acted=_ACTED.get(str(options.get("action", "")), "stopped"),
        point=str(options.get("point", "in mid-purchase")).replace("_", " "),
    )


def hurts(fault: str, options: Mapping[str, Any]) -> Hurts:
    """By the fault's name, and for one of the network by the store that it cuts off.

    >>> hurts("net_reset", {"store": "redis"}).value, hurts("worker_hang", {}).value
    ('Redis', 'the app')
    """
    kind = fault.partition("_")[0]
    if kind == "net":
        return _STORES.get(str(options.get("store", "")), Hurts.UNKNOWN)
    return Hurts.APP if kind in _OF_THE_APP else _STORES.get(kind, Hurts.UNKNOWN)


def is_of_the_network(fault: str) -> bool:
    return fault.startswith("net_")


def together(faults: Iterable[PlannedFault]) -> str:
    """What several faults are called together, in the order of their coming; what comes again is counted.

    >>> kill = {"fault": "redis_kill", "for_s": 1}
    >>> together([PlannedFault(at_s=1, **kill), PlannedFault(at_s=4, **kill)])
    'Redis killed, 2 times'
    """
    counted: dict[str, int] = {}
    for each in sorted(faults, key=lambda each: each.at_s):
        words = said(each.fault, each.options)
        counted[words] = counted.get(words, 0) + 1
    return " + ".join(words if count == 1 else f"{words}, {count} times" for words, count in counted.items())
