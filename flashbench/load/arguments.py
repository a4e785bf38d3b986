"""The harness's arguments in Locust's parser, and what is refused before Locust starts anything."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flashbench import catalogue
from flashbench.errors import UsageError
from flashbench.load import options
from flashbench.load.turns import TURN, run_in_turn
from flashbench.target.target_file import read_target
from flashbench.vocabulary import ExitCode

IN_TURN = "strategies_in_turn"  # every --strategy that was given


class _Suggestions(list[str]):
    """Shown as a dropdown in the web UI, but not the only values allowed: a path to a file is one too."""

    def __contains__(self, _: object) -> bool:
        return True


class _EachStrategy(argparse.Action):
    """Collects a repeated --strategy; the option itself holds the last."""

    def __call__(self, _: Any, namespace: argparse.Namespace, values: Any, __: str | None = None) -> None:
        setattr(namespace, IN_TURN, [*(getattr(namespace, IN_TURN, None) or []), values])
        namespace.strategy = values


def add_arguments(parser: Any, check: Callable[[argparse.Namespace], None] | None) -> None:
    """Add the harness's arguments to Locust's parser; ``check`` sees them as soon as they are parsed."""
    group = parser.add_argument_group("flashbench", "The sale, the load and the evidence.")
    for name, default in options.defaults().items():
        keywords: dict[str, Any] = {"default": default, "help": options.HELP[name]}
        if name == "strategy":
            keywords |= {"action": _EachStrategy, "choices": _suggestions(default), "metavar": "NAME|FILE.py:CLASS"}
        elif name in options.SECRETS:
            keywords |= {"env_var": f"FLASHBENCH_{name.upper()}", "metavar": "<text>"}
        elif isinstance(default, int | float):
            keywords |= {"type": type(default), "metavar": "<number>"}
        else:
            keywords["metavar"] = "<file>" if name == "target" else "<folder>"
        action = group.add_argument("--" + name.replace("_", "-"), **keywords)
        # What Locust's own add_argument would note; a group's knows nothing of the web UI.
        vars(action).update(
            include_in_web_ui=name not in options.SECRETS, is_secret=False, is_required=False, is_multiple=False
        )
    if check is None:
        return
    parse = parser.parse_args

    def parse_and_check(args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None) -> Any:
        parsed = parse(args, namespace)
        try:
            check(parsed)
        except UsageError as error:
            parser.exit(int(ExitCode.USAGE), f"{error}\n")
        return parsed

    # The one moment when the arguments are known and Locust has neither forked nor bound a port.
    parser.parse_args = parse_and_check


def check(parsed: argparse.Namespace) -> None:
    """Defaults of users, rate and run time, and every refusal that needs nothing but the arguments.

    With several strategies, this is where the command is run once for each, and where the process then ends.
    """
    if getattr(parsed, "worker", False):
        return  # a worker's options come from its master
    parsed.strategy = os.environ.get(TURN) or parsed.strategy
    chosen = list(dict.fromkeys(getattr(parsed, IN_TURN, None) or [parsed.strategy]))
    for word in chosen:
        catalogue.contender(word)
    frozen = options.frozen(vars(parsed))
    if parsed.num_users is None:
        parsed.num_users = options.DEFAULT_USERS
    if parsed.spawn_rate is None:
        parsed.spawn_rate = parsed.num_users
    options.check_ramp(parsed.num_users, parsed.spawn_rate, parsed.run_time or 0)
    if parsed.master and not parsed.host:
        raise UsageError("a master needs --host: its workers may be elsewhere and can't reach an embedded target.")
    if frozen.target:
        _check_target(parsed.host, frozen)
    elif parsed.host and not frozen.admin_token:
        raise UsageError("--host needs the target's admin token: give --admin-token or FLASHBENCH_ADMIN_TOKEN.")
    if parsed.host and frozen.redis_url and not frozen.database_url:
        raise UsageError(
            "--redis-url with --host needs --database-url too: the stores are read together or not at all."
        )
    if len(chosen) > 1 and TURN not in os.environ:
        if parsed.master:
            raise UsageError("a master's workers end with its first run: give one --strategy at a time.")
        if not parsed.headless:
            raise UsageError("the web UI runs one strategy at a time: give one --strategy, or add --headless.")
        raise SystemExit(run_in_turn(chosen, sys.argv[1:]))


def _check_target(host: str | None, frozen: options.LoadOptions) -> None:
    """What a target file needs, and what makes no sense beside it."""
    target = read_target(Path(frozen.target))
    if not host:
        raise UsageError("--target says how a service is spoken to, not where it is: give --host.")
    if frozen.strategy != options.defaults()["strategy"]:
        raise UsageError("--strategy chooses among the reference app's; a service of your own has one: leave it out.")
    if frozen.redis_url:
        raise UsageError("--redis-url is for the reference app's counters: leave it out beside --target.")
    if frozen.twin_share and not target.purchase.idempotent:
        raise UsageError(f"{target.name} is not idempotent, so twins would buy twice: leave --twin-share out.")
    target.require_database(frozen.database_url)


def _suggestions(default: str) -> _Suggestions:
    names = [each.name for each in (*catalogue.strategies(), *catalogue.controls())]
    return _Suggestions(names or [default])
