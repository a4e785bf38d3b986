"""What a run is aimed at: the target behind --host, or an embedded stack of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flashbench import catalogue
from flashbench.catalogue import Contender
from flashbench.errors import UsageError
from flashbench.load.options import LoadOptions
from flashbench.services import Stack, StackRequest
from flashbench.target.http import HttpTarget, Offer, checked_url
from flashbench.target.peer import PeerTarget
from flashbench.target.target_file import TargetFile, read_target
from flashbench.trial.stores import Stores


@dataclass(frozen=True, slots=True)
class Address:
    """Where the target and its stores are. Without a database URL, the stores stay unread."""

    base_url: str
    admin_token: str
    database_url: str | None
    redis_url: str | None


@dataclass(frozen=True, slots=True)
class Aim:
    """A target that answered, offers the strategy, and takes the token."""

    target: HttpTarget | PeerTarget
    stores: Stores | None
    offer: Offer
    strategy: str  # as the target registered it; the name in the target file
    target_file: TargetFile | None = None

    def close(self) -> None:
        self.target.close()
        if self.stores is not None:
            self.stores.close()


def start_stack(options: LoadOptions, every_control: bool, progress: Callable[[str], None]) -> Stack:
    """An embedded stack that knows the chosen strategy; ``every_control`` too, so that a web UI can choose."""
    chosen = [catalogue.contender(options.strategy)]
    contenders = [*chosen, *(catalogue.controls() if every_control else ())]
    plugins = tuple(dict.fromkeys(each.plugin for each in contenders if each.plugin))
    request = StackRequest(
        database_url=options.database_url or None, redis_url=options.redis_url or None, plugins=plugins
    )
    return Stack.start(request, progress=progress)


def address(host: str | None, options: LoadOptions, stack: Stack | None) -> Address:
    """The embedded stack's address, unless ``host`` names something else."""
    if stack is not None and stack.info.base_url and (not host or checked_url(host) == stack.info.base_url.rstrip("/")):
        info = stack.info
        return Address(stack.info.base_url, info.admin_token, info.database_url, info.redis_url or None)
    if not host:
        raise UsageError("there is no target: give --host, or start without it for an embedded one.")
    return Address(checked_url(host), options.admin_token, options.database_url or None, options.redis_url or None)


def take_aim(at: Address, options: LoadOptions) -> Aim:
    """Connect and make sure of everything that can be made sure of before a sale is opened; UsageError otherwise."""
    if options.target:
        return _aim_at_a_peer(at, Path(options.target))
    return _aim_at_the_reference(at, catalogue.contender(options.strategy))


def _aim_at_a_peer(at: Address, path: Path) -> Aim:
    target_file = read_target(path)
    target = PeerTarget(at.base_url, target_file, at.database_url)
    try:
        target.check()
    except BaseException:
        target.close()
        raise
    return Aim(target, None, Offer((), target_file.settle_s), target_file.name, target_file)


def _aim_at_the_reference(at: Address, contender: Contender) -> Aim:
    target = HttpTarget(at.base_url, at.admin_token)
    stores: Stores | None = None
    try:
        offer = target.offer()
        target.check_token()
        name = offer.registered_name(contender.name, contender.plugin)
        if name is None:
            known = ", ".join(each.name for each in offer.strategies) or "none"
            raise UsageError(
                f"the target at {at.base_url} does not know the strategy {contender.name!r} (it knows {known}):"
                " it must be named when the target is started."
            )
        if at.database_url:
            stores = Stores(at.database_url, at.redis_url)
    except BaseException:
        target.close()
        raise
    return Aim(target, stores, offer, name)
