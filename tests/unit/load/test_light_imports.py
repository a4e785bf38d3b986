"""What forks must be light, and what only reads options must not be patched for gevent."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("flashbench.load.options", ("locust", "gevent", "pandas", "pyarrow")),
        ("flashbench.trial.life", ("locust", "gevent", "pandas", "pyarrow", "numpy")),
        ("flashbench.load.wiring", ("pandas", "pyarrow", "numpy")),
    ],
)
def test_what_an_import_does_not_bring_along(imported: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {imported}; print(*sorted(set({absent!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_every_name_is_there_every_time() -> None:
    code = "from flashbench.load import install; from flashbench.load import install as again; print(install is again)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "True"
