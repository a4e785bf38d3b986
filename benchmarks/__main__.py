"""``python -m benchmarks`` is ``flashbench``."""

from benchmarks.cli import main

main()
