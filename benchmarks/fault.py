"""What a fault is, and how the one that a suite names is found. A fault is one file under ``benchmarks/faults/``.

::

    class RedisKill(Fault):
        hurts = "redis"
        def inject(self) -> None: ...
        def bite(self) -> str | None: ...   # how it shows that the fault is there
        def heal(self) -> None: ...
        def healed(self) -> str | None: ... # how it shows that it is gone

One that can be told more, such as which of the stores it is about, says so in a model of its own, and a suite's table
gives its fields beside ``fault``, ``at_s`` and ``for_s``::

        class Options(FaultOptions):
            store: Literal["redis", "postgres"]
        options: Options
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from benchmarks import catalogue
from flashbench.evidence.documents import PlannedFault
from flashbench.services.control import Control, Order
from flashbench.services.model import StackInfo

if TYPE_CHECKING:
    from benchmarks.links import Links

Need = Literal["proxy", "replica", "failpoints"]


class Part(Enum):
    """What faults take, rely on or must meet. Answers are a server's doing, flow and replies a link's."""

    REDIS_PROCESS = "that Redis lives"
    REDIS_ANSWERS = "that Redis answers"
    REDIS_MEMORY = "what Redis remembers"
    REDIS_FLOW = "that anything goes over the link to Redis"
    REDIS_REPLIES = "that any reply comes back over the link to Redis"
    POSTGRES_ANSWERS = "that Postgres answers"
    POSTGRES_LOCK = "that purchases get their locks in Postgres"
    POSTGRES_FLOW = "that anything goes over the link to Postgres"
    POSTGRES_REPLIES = "that any reply comes back over the link to Postgres"
    WORKERS = "that all workers of the app are there"


class FaultError(Exception):
    """A fault could not be done, undone or looked at; the text says why."""


@dataclass(frozen=True)
class Scene:
    """What faults act on: the stack's addresses, whoever takes orders about its servers, and the sale of the trial.

    ``proxy`` is where the links' proxy takes orders, ``failpoints`` the folder in which points are armed; like
    ``replica_url`` they are None where the stack has none. ``skus`` are the sale's, the hottest first.
    """

    control: str
    redis_url: str
    database_url: str
    proxy: str | None = None
    replica_url: str | None = None
    failpoints: str | None = None
    base_url: str = ""
    app_pid: int = 0
    app_workers: int = 0
    sale_id: str = ""
    skus: tuple[str, ...] = ()

    def order(self, service: str, order: Order) -> int:
        """Have the supervisor do something to a server; when it was done. OrderRefusedError if it could not be."""
        return Control(self.control)(service, order)

    @cached_property
    def links(self) -> Links:
        """The proxy's links, with what all faults ask of them. FaultError if there is no proxy."""
        from benchmarks.links import Links  # here, since only what is proxied needs it

        if self.proxy is None:
            raise FaultError("no proxy stands between the app and its stores")
        return Links(self.proxy)


def scene_words(stack: StackInfo) -> str:
    """What ``FLASHBENCH_SCENE`` says of a stack: in JSON, what faults act on beside its stores and its supervisor."""
    told = {"proxy", "replica_url", "failpoints", "base_url", "app_pid", "app_workers"}
    return stack.model_dump_json(include=told, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an injection takes, relies on and must meet at some time, and whom it ends; see ``Fault``.

    ``itself`` is what nobody else may be meanwhile: the fault, of just that place.
    """

    itself: str
    takes: frozenset[Part] = frozenset()
    relies: frozenset[Part] = frozenset()
    meets: frozenset[Part] = frozenset()
    ends: frozenset[str] = frozenset()


class FaultOptions(BaseModel):
    """What a suite can tell a fault; this is for those that can't be told anything. Every field has its bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @property
    def which(self) -> str:
        """Which of several things the fault is about, such as a store; empty if there is but one."""
        return ""


class Fault(ABC):
    """Something done to the system in mid-trial, and its undoing. One instance serves one injection.

    ``hurts`` names the server that must be the harness's own, since nobody else's may be hurt; ``needs`` what the
    stack must offer. One that is ``momentary`` is over when it is done, so it is healed once it is seen to have
    bitten. ``takes`` is what nobody else may take or rely on while it lasts, ``relies`` what it can't do without from
    its injection on, and ``meets`` what has to be there at some time for it to show that it took effect. ``ends`` are
    those whose processes it ends. Of what it ``excludes``, no other fault may hurt anything meanwhile.
    ``heals_in_s`` is what being as before takes at least, after which the next may come.

    Whatever a server, the proxy or the supervisor refuses may be raised by any of the methods. A fault that could not
    be prepared or injected is healed all the same, so ``heal`` and ``healed`` must bear to be called without.
    """

    hurts: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset()
    momentary: ClassVar[bool] = False
    takes: ClassVar[frozenset[Part]] = frozenset()
    relies: ClassVar[frozenset[Part]] = frozenset()
    meets: ClassVar[frozenset[Part]] = frozenset()
    ends: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()
    heals_in_s: ClassVar[float] = 0.5
    Options: ClassVar[type[FaultOptions]] = FaultOptions

    options: FaultOptions
    began_ns: int | None = None  # CLOCK_MONOTONIC, set by an ``inject`` that takes its time: when it took effect

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        self.scene = scene
        self.options = self.Options.model_validate(dict(options or {}))

    @classmethod
    def claim(cls, options: FaultOptions) -> Claim:
        """What an injection has to itself while it lasts, and what it needs of what others may take."""
        itself = f"{cls.__name__} {options.which}".rstrip()
        return Claim(itself, cls.takes, cls.relies, cls.meets, cls.ends)

    @classmethod
    def lasts_s(cls, options: FaultOptions, for_s: float) -> float:
        """From its injection until all may be as before, at the earliest, if it is to be healed after ``for_s``."""
        return for_s + cls.heals_in_s

    def prepare(self) -> None:
        """What has to be done beforehand; called when the load is released."""

    @abstractmethod
    def inject(self) -> None:
        """Do it, and return as soon as it is done."""

    @abstractmethod
    def bite(self) -> str | None:
        """In words, what shows that the fault took effect; None if nothing does, as yet. Called while it lasts."""

    @abstractmethod
    def heal(self) -> None:
        """Undo it, and return when it is undone. May be called again."""

    @abstractmethod
    def healed(self) -> str | None:
        """In words, what shows that things are as they were; None if nothing does, as yet."""


Injection: TypeAlias = tuple[type[Fault], FaultOptions]


def bar_each_other(first: Injection, second: Injection) -> bool:
    """Whether two injections must not overlap."""
    (kind, options), (other, others) = first, second
    mine, theirs = kind.claim(options), other.claim(others)
    claimed = mine.takes & (theirs.takes | theirs.relies) or theirs.takes & mine.relies
    return mine.itself == theirs.itself or bool(claimed) or other.hurts in kind.excludes or kind.hurts in other.excludes


def hides(first: Injection, second: Injection) -> bool:
    """Whether the second could not show that it took effect as long as the first lasts."""
    (kind, options), (other, others) = first, second
    return bool(kind.claim(options).takes & other.claim(others).meets)


def injection(planned: PlannedFault) -> Injection:
    """What a suite plans, as what it is."""
    kind = fault_class(planned.fault)
    return kind, kind.Options.model_validate(planned.options)


def fault_class(name: str) -> type[Fault]:
    """The one fault in the file of that name. LookupError if there is no such fault, or not just one in its file."""
    if name not in {entry.name for entry in catalogue.faults()}:
        raise LookupError(f"there is no fault {name!r}")
    module = importlib.import_module(f"benchmarks.faults.{name}")
    found = [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Fault) and each.__module__ == module.__name__ and not inspect.isabstract(each)
    ]
    if len(found) != 1:
        raise LookupError(f"{module.__file__} holds {len(found)} faults, not one")
    return found[0]
