"""What a fault is, and how the one that a suite names is found. A fault is one file under ``benchmarks/faults/``.

::

    class RedisKill(Fault):
        hurts = "redis"
        def inject(self) -> None: ...
        def bite(self) -> str | None: ...   # how it shows that the fault is there
        def heal(self) -> None: ...
        def healed(self) -> str | None: ... # how it shows that it is gone
"""

from __future__ import annotations

import importlib.util
import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks import catalogue
from flashbench.services.control import Control, Order


@dataclass(frozen=True, slots=True)
class Scene:
    """What faults act on: the stack's addresses, and whoever takes orders about its servers."""

    control: str
    redis_url: str
    database_url: str

    def order(self, service: str, order: Order) -> None:
        """Have the supervisor do something to a server; OrderRefusedError if it could not."""
        Control(self.control)(service, order)


class Fault(ABC):
    """Something done to the system in mid-trial, and its undoing. One instance serves one injection.

    ``hurts`` names the server that must be the harness's own, since nobody else's may be hurt.
    """

    hurts: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

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


def fault_class(name: str) -> type[Fault]:
    """The one fault in the file of that name. LookupError if there is no such fault, or not just one in its file."""
    path = {entry.name: entry.path for entry in catalogue.faults()}.get(name)
    if path is None:
        raise LookupError(f"there is no fault {name!r}")
    found = _faults_in(path)
    if len(found) != 1:
        raise LookupError(f"{path} holds {len(found)} faults, not one")
    return found[0]


def _faults_in(path: Path) -> list[type[Fault]]:
    name = f"benchmarks.faults.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Fault) and each.__module__ == name and not inspect.isabstract(each)
    ]
