"""``flashbench cost``: what the harness itself costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from benchmarks.cost.checks import MOST_GIB as MOST_CHECK_GIB
from benchmarks.cost.checks import MOST_SECONDS as MOST_CHECK_SECONDS
from benchmarks.cost.checks import measure_checks
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


@app.command()
def checks(
    most: Annotated[int, typer.Option(min=1_000, max=50_000_000, help="Attempts in the largest history.")] = 10_000_000,
) -> None:
    """The linearizability checkers at three sizes; at most 30 s (C: 60 s) and 3 GiB for ten million attempts."""
    costs = measure_checks((most // 100, most // 10, most), typer.echo)
    typer.echo(f"\n{'checker':<12}{'attempts':>12}{'attempts/s':>14}{'µs each':>10}{'to smallest':>13}{'GiB':>7}")
    for cost in costs:
        smallest = next(each for each in costs if each.case == cost.case)
        typer.echo(
            f"{cost.case:<12}{cost.attempts:>12,}{cost.attempts_per_s:>14,.0f}{cost.us_per_attempt:>10.2f}"
            f"{cost.us_per_attempt / smallest.us_per_attempt:>12.2f}x{cost.peak_gib:>7.2f}"
        )
    largest = [cost for cost in costs if cost.attempts == most]
    typer.echo(
        f"target: ten million attempts in {_seconds(MOST_CHECK_SECONDS)} and {MOST_CHECK_GIB:g} GiB: "
        + _met(all(cost.met for cost in largest))
    )


def _seconds(limits: Mapping[str, float]) -> str:
    return ", ".join(f"{case} {limit:.0f} s" for case, limit in limits.items())


def _met(met: bool) -> str:
    return "met" if met else "NOT met"
