"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Strategies = Annotated[
    list[str] | None,
    typer.Option("--strategy", help="A strategy's name, or path/to/file.py:ClassName; may be repeated."),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url", envvar="FLASHBENCH_DATABASE_URL", help="Postgres to use instead of an embedded one."
    ),
]
RedisUrl = Annotated[
    str | None,
    typer.Option("--redis-url", envvar="FLASHBENCH_REDIS_URL", help="Redis to use instead of an embedded one."),
]
TargetFile = Annotated[
    Path | None,
    typer.Option(
        "--target", help="Target file of a service that is hammered instead of the app; its SQL reads --database-url."
    ),
]
Host = Annotated[str | None, typer.Option("--host", help="Where the service of --target is.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Folder = Annotated[Path, typer.Argument(help="A trial's or a suite's folder.", show_default=False)]
WorseThan = Annotated[
    float | None,
    typer.Option(
        "--worse-than",
        min=0,
        max=1000,
        help="How much slower counts as a regression, in per cent.",
        show_default="20",
    ),
]


def least_slowdown(worse_than: float | None) -> float:
    """From which share on slower counts as a regression, whether or not ``--worse-than`` was given."""
    from reports.comparison.differences import WORSE_THAN  # here, since pandas is slow to load

    return WORSE_THAN if worse_than is None else worse_than / 100
