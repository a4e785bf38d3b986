"""Which strategies a worker offers: those in their folders here, and plug-ins named by path at start."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from target_app.strategies.protocol import Resources, Strategy

FOLDER = Path(__file__).parent


class PluginError(Exception):
    """A plug-in can't be used; the text is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A strategy that can be named in a request. ``source`` and its hash are None for what ships with the app."""

    name: str
    kind: type[Strategy]
    source: str | None = None
    source_sha256: str | None = None


def built_in(folder: Path = FOLDER) -> dict[str, Registered]:
    """One strategy a folder, under the folder's name."""
    found = {}
    for path in sorted(folder.glob("*/strategy.py")):
        module = importlib.import_module(f"{__package__}.{path.parent.name}.strategy")
        kinds = [kind for kind in vars(module).values() if _is_strategy(kind) and kind.__module__ == module.__name__]
        (kind,) = kinds
        if kind.name != path.parent.name:
            raise RuntimeError(f"{path} names its strategy {kind.name!r}; it must be {path.parent.name!r}")
        found[kind.name] = Registered(kind.name, kind)
    return found


def with_plugins(sources: Sequence[str]) -> dict[str, Registered]:
    """The built-in strategies and the plug-ins; PluginError for a plug-in that can't be loaded."""
    registry = built_in()
    for source in sources:
        plugin = load(source)
        if plugin.name in registry:
            raise PluginError(f"{source}: the name {plugin.name!r} is taken; give the class another `name`.")
        registry[plugin.name] = plugin
    return registry


def load(source: str) -> Registered:
    """Load ``/absolute/path.py:ClassName`` under a module name derived from the source's hash."""
    path_text, _, class_name = source.rpartition(":")
    path = Path(path_text)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise PluginError(f"{source}: the file can't be read ({error.strerror}).") from error
    digest = hashlib.sha256(text).hexdigest()
    module = _import(path, f"target_app_plugin_{digest}", source)
    kind = getattr(module, class_name, None)
    if kind is None:
        raise PluginError(f"{source}: the file has no class {class_name!r}.")
    if not _is_strategy(kind):
        raise PluginError(f"{source}: {class_name} is no subclass of target_app.strategies.protocol.Strategy.")
    if not isinstance(getattr(kind, "name", None), str) or not kind.name:
        raise PluginError(f'{source}: {class_name} has no name; add `name = "…"` to the class.')
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(kind.__abstractmethods__))
        raise PluginError(f"{source}: {class_name} does not implement {missing}.")
    return Registered(kind.name, kind, source, digest)


def instances(registry: dict[str, Registered], resources: Resources) -> dict[str, Strategy]:
    """One of each for this worker; PluginError if a plug-in's constructor fails."""
    made = {}
    for each in registry.values():
        try:
            made[each.name] = each.kind(resources)
        except Exception as error:
            if each.source is None:
                raise
            raise PluginError(f"{each.source}: making it failed: {type(error).__name__}: {error}.") from error
    return made


class _FromSource(SourceFileLoader):
    """Reads the very source that was hashed, and leaves no bytecode beside somebody's file."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _import(path: Path, module_name: str, source: str) -> ModuleType:
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path, loader=_FromSource(module_name, str(path)))
    if spec is None or spec.loader is None:
        raise PluginError(f"{source}: the file is no Python source.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[module_name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise PluginError(f"{source}: it does not import: {type(error).__name__}: {error}.") from error
    return module


def _is_strategy(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Strategy) and kind is not Strategy
