"""``flashbench run``: run a suite, judge it, write the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.cli.options import DatabaseUrl, RedisUrl, Strategies
from benchmarks.cli.verdict_table import print_suite
from benchmarks.plan import plan
from benchmarks.progress import run_progress
from benchmarks.runner import RunRequest, run_suite, suite_folder
from benchmarks.suite import find, read
from flashbench.catalogue import contender
from flashbench.vocabulary import ExitCode


def run(
    suite: Annotated[str, typer.Argument(help="A suite's name, or the path of a TOML file.", show_default=False)],
    strategy: Strategies = None,
    out: Annotated[Path, typer.Option(help="The folder that receives the suite's folder.")] = Path("results"),
    seed: Annotated[int, typer.Option(min=0, help="The first seed; repetitions count up from it.")] = 1,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
) -> None:
    """Run a suite and say what it shows: 0 PASS, 10 FAIL, 11 UNPROVEN, 12 INVALID.

    --strategy replaces the suite's strategies; its controls always run. A strategy of your own is expected to pass.
    """
    chosen = read(find(suite))
    runs = plan(chosen, [contender(word) for word in strategy or ()], seed)
    folder = suite_folder(out, chosen)
    request = RunRequest(
        suite=chosen,
        runs=runs,
        folder=folder,
        seed=seed,
        command=("flashbench", *sys.argv[1:]),
        database_url=database_url,
        redis_url=redis_url,
    )
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(f"suite {chosen.name}: {len(runs)} trials into {folder}", soft_wrap=True)
    with run_progress(console, len(runs)) as progress:
        try:
            finished = run_suite(request, progress)
        except BaseException:
            _discard_if_empty(folder)
            raise
        progress.step("judging the suite and writing the report")
        code = print_suite(folder, console)
    raise typer.Exit(code if finished else max(code, ExitCode.UNPROVEN) if code is not ExitCode.FAIL else code)


def _discard_if_empty(folder: Path) -> None:
    """A run that never came to its first trial leaves nothing worth keeping."""
    if any(path.is_dir() and path.name != "logs" for path in folder.iterdir()):
        return
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
