"""``flashbench run``: run a suite, judge it, write the report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.baseline import checked_out
from benchmarks.cli.options import DatabaseUrl, Host, RedisUrl, Strategies, TargetFile, WorseThan, least_slowdown
from benchmarks.cli.verdict_table import print_comparison, print_suite, wide_console
from benchmarks.fault import fault_class
from benchmarks.plan import contenders, plan
from benchmarks.progress import run_progress
from benchmarks.resuming import to_be_run, unfinished_run
from benchmarks.runner import RunRequest, current_revision, run_suites, suite_folder
from benchmarks.suite import MOST_SEEDS, Scenario, Suite, find, read
from flashbench.catalogue import Contender, Service, contender
from flashbench.errors import UsageError
from flashbench.target.http import checked_url
from flashbench.target.peer import PeerTarget
from flashbench.target.target_file import read_target
from flashbench.vocabulary import ExitCode


def run(
    suite: Annotated[str, typer.Argument(help="A suite's name, or the path of a TOML file.", show_default=False)],
    strategy: Strategies = None,
    out: Annotated[Path, typer.Option(help="The folder that receives the suite's folder.")] = Path("results"),
    seed: Annotated[int, typer.Option(min=0, help="The first seed; repetitions count up from it.")] = 1,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_SEEDS, help="How often every trial is repeated.", show_default="the suite's"),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="A git revision whose app runs beside this one, for comparison. Without --seeds, trials are repeated"
            " until a difference could be significant."
        ),
    ] = None,
    worse_than: WorseThan = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, even if a run of the same suite was cut short.")
    ] = False,
    target: TargetFile = None,
    host: Host = None,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
) -> None:
    """Run a suite and say what it shows: 0 PASS, 10 FAIL, 11 UNPROVEN, 12 INVALID, 13 slower than the baseline.

    A run of the same suite with the same code that was cut short is taken up where it was.
    --strategy replaces the suite's strategies; its controls always run. A strategy of your own is expected to pass, and
    so is a service of your own, named with --target and --host.
    """
    own = [contender(word) for word in strategy or ()]
    service = _service(target, host, database_url)
    if service is not None:
        if own or baseline or redis_url:
            raise UsageError("--target goes with neither --strategy nor --baseline nor --redis-url.")
        own, database_url = [service], None
    if worse_than is not None and baseline is None:
        raise UsageError("--worse-than says how much slower than the baseline counts: give --baseline as well.")
    if baseline is not None and (database_url or redis_url):
        raise UsageError("--baseline needs stacks of its own: leave --database-url and --redis-url away.")
    chosen, console = _repeated(read(find(suite)), seeds), wide_console()
    given = {name for name, url in (("postgres", database_url), ("redis", redis_url)) if url}
    if chosen.stacks > 1 and (service is not None or baseline is not None or given):
        raise UsageError(
            f"the suite {chosen.name} runs {chosen.stacks} trials at once, each on a stack of its own: leave --target,"
            " --baseline, --database-url and --redis-url away, or name another suite, such as quick."
        )
    chosen = _sparing(chosen, given, console) if service is None else _bearable(chosen, console)
    _say_who_is_left_out(chosen, own, console)
    if service is not None:
        _require_an_answer(service)
    repeats = 0 if baseline is None else _repeats(chosen, own, seeds)
    request = RunRequest(
        suite=chosen,
        runs=plan(chosen, own, seed, repeats),
        folder=out,
        seed=seed,
        command=("flashbench", *sys.argv[1:]),
        revision=current_revision(),
        database_url=database_url,
        redis_url=redis_url,
    )
    request = replace(request, folder=_folder_of(request, out, take_up=baseline is None and not fresh, console=console))
    try:
        code = _run_one(request, console) if baseline is None else _run_against(baseline, request, worse_than, console)
    except BaseException:
        _discard_if_empty(request.folder)
        raise
    raise typer.Exit(code)


def _folder_of(request: RunRequest, out: Path, *, take_up: bool, console: Console) -> Path:
    """That of a run of just this which was cut short, or a new one."""
    if take_up and (begun := unfinished_run(out, request.document())) is not None:
        console.print(f"taking up the run that was cut short in {begun} (--fresh begins anew)", soft_wrap=True)
        return begun
    return suite_folder(out, request.suite)


def _run_one(request: RunRequest, console: Console) -> ExitCode:
    left = len(to_be_run(request.folder, [run.trial for run in request.runs]))
    there = f", {len(request.runs) - left} of them are there" if left < len(request.runs) else ""
    console.print(
        f"suite {request.suite.name}: {len(request.runs)} trials into {request.folder}{there}", soft_wrap=True
    )
    with run_progress(console, left) as progress:
        finished = run_suites([request], progress)
        progress.step("judging the suite and writing the report")
        code = print_suite(request.folder, console)
    return _at_least_unproven(code, finished)


def _run_against(revision: str, request: RunRequest, worse_than: float | None, console: Console) -> ExitCode:
    """The same suite on this code and on another revision's, in turns; the new run's report, then the comparison."""
    with checked_out(revision) as earlier:
        new, base = request.folder / "new", request.folder / "base"
        for folder in (new, base):
            (folder / "logs").mkdir(parents=True)
        (request.folder / "logs").rmdir()
        sides = [
            replace(
                request,
                folder=base,
                runs=earlier.of(request.runs),
                revision=earlier.revision,
                app_folder=earlier.folder,
            ),
            replace(request, folder=new),
        ]
        total = sum(len(side.runs) for side in sides)
        console.print(
            f"suite {request.suite.name}: {total} trials into {request.folder}, this code against {earlier.revision}",
            soft_wrap=True,
        )
        with run_progress(console, total) as progress:
            finished = run_suites(sides, progress)
            progress.step("judging the suites and comparing them")
            print_suite(base, console)
            print_suite(new, console)
            code = _compare(base, new, least_slowdown(worse_than), request.folder, console)
    return _at_least_unproven(code, finished)


def _compare(base: Path, new: Path, minimum: float, out: Path, console: Console) -> ExitCode:
    from reports.compare import write_comparison  # here, since pandas and matplotlib are slow to load
    from reports.comparison.compared import compare

    found = compare(base, new, minimum=minimum, one_job=True)
    print_comparison(found, write_comparison(found, out), console)
    return found.exit_code


def _service(target: Path | None, host: str | None, database_url: str | None) -> Contender | None:
    """Somebody else's service as the one that is put to the test."""
    if target is None or host is None:
        if target is not None or host is not None:
            raise UsageError("--target says how a service is spoken to and --host where it is: give both, or neither.")
        return None
    file = read_target(target)
    file.require_database(database_url)
    service = Service(checked_url(host), target.resolve(), file.purchase.idempotent, database_url)
    return Contender(file.name, "somebody else's service", service=service)


def _require_an_answer(service: Contender) -> None:
    """UsageError unless something answers where the service is said to be."""
    there = service.service
    assert there is not None
    with closing(PeerTarget(there.host, read_target(there.target_file), there.database_url)) as target:
        target.check()


def _repeats(suite: Suite, own: Sequence[Contender], seeds: int | None) -> int:
    """How often trials must be repeated for a slower app to be told from bad luck; UsageError if it never can be."""
    from reports.comparison.differences import gates_of  # here, since pandas and matplotlib are slow to load
    from reports.latency.statistics import repetitions_needed

    met = [
        each
        for scenario in suite.scenarios
        if not scenario.faults
        for each in contenders(suite, scenario, own)
        if not each.control
    ]
    if not met and all(scenario.faults for scenario in suite.scenarios):
        raise UsageError(
            f"every scenario of {suite.name} has faults: --baseline compares the latency of those without."
        )
    if not met:
        raise UsageError(
            f"only what is broken on purpose meets a scenario of {suite.name} without faults: --baseline compares the"
            " latency of other strategies."
        )
    needed = repetitions_needed(gates_of(len(met)))
    if seeds is not None and seeds < needed:
        raise UsageError(
            f"--seeds {seeds} can't tell a slower app from bad luck: --baseline needs {needed} of them here."
        )
    return needed


def _repeated(suite: Suite, seeds: int | None) -> Suite:
    """With as many seeds for every scenario, if that was asked for."""
    if seeds is None:
        return suite
    return replace(
        suite, seeds=seeds, control_seeds=seeds, scenarios=tuple(replace(each, seeds=None) for each in suite.scenarios)
    )


def _sparing(suite: Suite, given: set[str], console: Console) -> Suite:
    """Without the scenarios that would hurt a server that is not the harness's own."""

    def hurts(scenario: Scenario) -> bool:
        return any(fault_class(planned.fault).hurts in given for planned in scenario.faults)

    return _without(suite, hurts, "would hurt the server that was given", "let it start its own", console)


def _bearable(suite: Suite, console: Console) -> Suite:
    """Without the scenarios that hurt, rewire or set the reference app, for a service of somebody else's."""

    def needs_the_app(scenario: Scenario) -> bool:
        return bool(scenario.faults or scenario.app or scenario.store_rtt_ms is not None)

    way_out = "name a suite of loads alone, such as smoke"
    return _without(suite, needs_the_app, "would hurt the reference app, or set it up otherwise", way_out, console)


def _without(suite: Suite, unfit: Callable[[Scenario], bool], why: str, way_out: str, console: Console) -> Suite:
    """Without the scenarios that are unfit here; UsageError if none is left."""
    fit = tuple(scenario for scenario in suite.scenarios if not unfit(scenario))
    if not fit:
        raise UsageError(f"every scenario of {suite.name} {why}: {way_out}.")
    left_out = ", ".join(scenario.label for scenario in suite.scenarios if scenario not in fit)
    if left_out:
        console.print(f"left out are scenarios that {why}: {left_out}", soft_wrap=True)
    return replace(suite, scenarios=fit)


def _say_who_is_left_out(suite: Suite, own: Sequence[Contender], console: Console) -> None:
    """Where a scenario is for strategies that it names; UsageError if none is for one that was chosen."""
    for each in own:
        left_out = [scenario.label for scenario in suite.scenarios if each not in contenders(suite, scenario, own)]
        if len(left_out) == len(suite.scenarios):
            raise UsageError(
                f"no scenario of {suite.name} is for {each.name}: name another suite, or a copy of it whose scenarios"
                " do not name their strategies."
            )
        if left_out:
            console.print(
                f"left out for {each.name} are scenarios for other strategies: {', '.join(left_out)}", soft_wrap=True
            )


def _at_least_unproven(code: ExitCode, finished: bool) -> ExitCode:
    """An interrupted run proves nothing that is not wrong already."""
    return code if finished or code is ExitCode.FAIL else ExitCode.UNPROVEN


def _discard_if_empty(folder: Path) -> None:
    """A run that never came to its first trial leaves nothing worth keeping."""
    if any(folder.rglob("trial.json")) or any(folder.rglob("*.bin")):
        return
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
