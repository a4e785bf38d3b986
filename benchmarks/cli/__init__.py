"""The command ``flashbench``, one module a subcommand."""

from __future__ import annotations

import sys

import typer

from benchmarks.cli import audit, compare, cost, doctor, listing, report, run, serve
from flashbench.errors import UsageError
from flashbench.vocabulary import ExitCode

app = typer.Typer(
    name="flashbench",
    help="Hammer stock-deduction strategies with flash sales, and prove from evidence what they did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("audit")(audit.audit)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.command("list")(listing.list_)
app.add_typer(cost.app, name="cost")


def main() -> None:
    """Run the command line. A user's mistake is one sentence and exit code 2; anything else shows its traceback."""
    try:
        app()
    except UsageError as error:
        sys.stderr.write(f"flashbench: {error}\n")
        sys.exit(ExitCode.USAGE)
    except KeyboardInterrupt:
        sys.stderr.write("flashbench: interrupted.\n")
        sys.exit(130)
