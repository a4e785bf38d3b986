"""``flashbench serve``: keep the app and its stores up for use by hand."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from benchmarks.cli.options import DatabaseUrl, RedisUrl, Strategies
from flashbench.catalogue import contender, controls
from flashbench.services import Stack, StackInfo, StackRequest


def serve(
    strategy: Strategies = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The app's port; 0 takes any that is free.")] = 0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes of the app.")] = 2,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
) -> None:
    """Start Postgres, Redis and the app, print how to reach them, and keep them up until Ctrl-C.

    The controls are loaded too, so that any of them can be hammered by name.
    """
    chosen = [contender(word) for word in strategy or ()]
    plugins = tuple(dict.fromkeys(each.plugin for each in (*chosen, *controls()) if each.plugin))
    request = StackRequest(
        database_url=database_url, redis_url=redis_url, app_port=port, app_workers=workers, plugins=plugins
    )
    name = next((each.plugin or each.name for each in chosen), "row_lock")
    with Stack.start(request, progress=typer.echo) as stack:
        try:
            typer.echo(_how_to_reach(stack.info, name))
            while not signal.sigtimedwait({signal.SIGUSR2}, 3600):  # Ctrl-C comes as KeyboardInterrupt
                pass
        except KeyboardInterrupt:
            typer.echo("stopping")


def _how_to_reach(info: StackInfo, strategy: str) -> str:
    return (
        f"\nbase URL      {info.base_url}\nadmin token   {info.admin_token}\n"
        f"database URL  {info.database_url}\nRedis URL     {info.redis_url}\n\n"
        f"locust -f locustfiles/flash_sale.py --headless -u 200 -r 200 -t 10s --host {info.base_url}"
        f" --admin-token {info.admin_token} --database-url '{info.database_url}' --redis-url '{info.redis_url}'"
        f" --strategy {strategy}\n\nCtrl-C stops everything."
    )
