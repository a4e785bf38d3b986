"""Several strategies in one command: the same command once per strategy, in turn, the worst exit code at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence

from flashbench.services.unprivileged import dies_with_parent
from flashbench.vocabulary import ExitCode

TURN = "FLASHBENCH_TURN"  # the strategy whose turn it is, in the environment of a turn's process

_WORST_FIRST = (
    *(ExitCode.FAIL, ExitCode.UNPROVEN, ExitCode.REGRESSION),
    *(ExitCode.INVALID, ExitCode.USAGE, ExitCode.PASS),
)


def worst(codes: Iterable[int]) -> int:
    """FAIL > UNPROVEN > INVALID > USAGE > PASS; a code that is none of these (a crash) counts as UNPROVEN."""
    known = [ExitCode(code) if code in set(ExitCode) else ExitCode.UNPROVEN for code in codes]
    return int(min(known, key=_WORST_FIRST.index, default=ExitCode.UNPROVEN))


def run_in_turn(strategies: Sequence[str], arguments: Sequence[str]) -> int:
    """Run ``locust`` with ``arguments`` once per strategy; Ctrl-C and SIGTERM end the turn under way and the series."""
    codes: list[int] = []
    stopped: list[int] = []
    turn: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _: object) -> None:
        stopped.append(number)
        # Ctrl-C reaches the whole group by itself; a SIGTERM is meant for this process and has to be handed on.
        if turn is not None and number == signal.SIGTERM:
            turn.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for strategy in strategies:
            if stopped:
                codes.append(ExitCode.UNPROVEN)
                break
            sys.stderr.write(f"\n=== {strategy} ===\n")
            turn = subprocess.Popen(
                [sys.executable, "-m", "locust", *arguments],
                env={**os.environ, TURN: strategy},
                preexec_fn=dies_with_parent(signal.SIGTERM) if sys.platform == "linux" else None,
            )
            codes.append(turn.wait())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return worst(codes)
