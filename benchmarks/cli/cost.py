"""``flashbench cost``: what the harness itself costs."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.cost.recording import MOST_LOST, measure_recording
from benchmarks.cost.reporting import MOST_GIB, MOST_SECONDS, measure_report
from benchmarks.cost.telemetry import MOST_LOST as TELEMETRY_LOST
from benchmarks.cost.telemetry import measure_telemetry

app = typer.Typer(help="Measure what the harness itself costs.", no_args_is_help=True)


@app.command()
def recording(
    pairs: Annotated[int, typer.Option(min=1, max=100, help="How often both halves are measured.")] = 9,
    seconds: Annotated[float, typer.Option(min=0.2, max=60, help="Length of each half.")] = 2.0,
) -> None:
    """Throughput with and without recording, side by side; at most 5 % may be lost."""
    cost = measure_recording(pairs, seconds, typer.echo)
    typer.echo(
        f"\nrecorded      {cost.recorded_per_s:>10,.0f} purchases/s   {cost.recorded_cpu_us:.1f} µs of CPU each\n"
        f"not recorded  {cost.unrecorded_per_s:>10,.0f} purchases/s   {cost.unrecorded_cpu_us:.1f} µs of CPU each\n"
        f"lost          {cost.lost!s:>10}\n"
        f"memory        {cost.grown_bytes_per_million / 2**20:>10.1f} MiB grown per million tries "
        f"(measured over {cost.tries:,})\n"
        f"disk          {cost.written_bytes_per_million / 2**20:>10.1f} MiB per million tries\n"
        f"target        at most {100 * MOST_LOST:.0f} % lost: {_met(cost.met)}"
    )


@app.command()
def telemetry(
    pairs: Annotated[int, typer.Option(min=1, max=100, help="How often both halves are measured.")] = 60,
    seconds: Annotated[float, typer.Option(min=0.2, max=60, help="Length of each half.")] = 0.5,
) -> None:
    """Throughput with and without telemetry, side by side; at most 2 % may be lost."""
    costs = measure_telemetry(pairs, seconds, typer.echo)
    typer.echo("")
    for cost in costs:
        typer.echo(
            f"{cost.what:<9} with telemetry {cost.awake_per_s:>8,.0f}/s, without {cost.asleep_per_s:>8,.0f}/s, "
            f"lost {cost.lost}"
        )
    typer.echo(f"telemetry itself used {max(cost.cores for cost in costs):.3f} cores")
    typer.echo(f"target: at most {100 * TELEMETRY_LOST:.0f} % lost: {_met(all(cost.met for cost in costs))}")


@app.command()
def report(
    tries: Annotated[int, typer.Option(min=1000, max=20_000_000, help="Size of the trial.")] = 1_000_000,
) -> None:
    """From a large trial's evidence to a finished report; at most 20 s and 1.5 GiB for a million tries."""
    cost = measure_report(tries, typer.echo)
    typer.echo("")
    for stage in cost.stages:
        typer.echo(f"{stage.name:<34}{stage.seconds:>7.1f} s   {stage.peak_gib:>5.2f} GiB at most")
    typer.echo(f"{'in all':<34}{cost.seconds:>7.1f} s   {cost.peak_gib:>5.2f} GiB at most")
    typer.echo(f"target: {MOST_SECONDS:.0f} s and {MOST_GIB} GiB for a million tries: {_met(cost.met)}")


def _met(met: bool) -> str:
    return "met" if met else "NOT met"
