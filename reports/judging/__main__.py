"""``python -m reports.judging FOLDER [--json]``: judge one trial, print what was found, exit by the verdict.

``-`` instead of a folder: it is named on standard input.
"""

from __future__ import annotations

import sys

from flashbench.errors import UsageError
from flashbench.evidence.apart import folder_named
from flashbench.vocabulary import ExitCode
from reports.judging.text import describe
from reports.judging.trial import judge


def main(arguments: list[str]) -> int:
    """The exit code."""
    folders = [argument for argument in arguments if argument != "--json"]
    if len(folders) != 1:
        sys.stderr.write("usage: python -m reports.judging FOLDER [--json]\n")
        return ExitCode.USAGE
    folder = folder_named(folders[0])
    try:
        verdict = judge(folder)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.USAGE
    sys.stdout.write(verdict.to_json() if "--json" in arguments else describe(verdict))
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
