"""``flashbench cost``: what the harness itself costs."""

from __future__ import annotations

import typer

app = typer.Typer(help="Measure what the harness itself costs.", no_args_is_help=True)
