"""``flashbench compare``: two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import Json, WorseThan, least_slowdown
from benchmarks.cli.verdict_table import print_comparison, wide_console


def compare(
    base: Annotated[Path, typer.Argument(help="The folder of the run to compare with.", show_default=False)],
    new: Annotated[Path, typer.Argument(help="The folder of the run in question.", show_default=False)],
    as_json: Json = False,
    force: Annotated[bool, typer.Option("--force", help="Go on although the runs did different work.")] = False,
    worse_than: WorseThan = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for the comparison.", show_default="NEW/comparison")
    ] = None,
) -> None:
    """Compare two runs of a suite: 0 no regression, 13 slower, 12 too little was measured to tell.

    If the new run's own verdict is FAIL or UNPROVEN, its exit code is that of its verdict.
    """
    from reports.compare import write_comparison  # here, since pandas and matplotlib are slow to load
    from reports.comparison.compared import compare as compared
    from reports.render import comparison as render

    found = compared(base, new, minimum=least_slowdown(worse_than), force=force)
    page = write_comparison(found, out or new / "comparison")
    if as_json:
        typer.echo(render.as_json(found), nl=False)
    else:
        print_comparison(found, page, wide_console())
    raise typer.Exit(found.exit_code)
