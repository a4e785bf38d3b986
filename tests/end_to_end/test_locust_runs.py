"""The Locust command as a person types it. If one of these fails, a run can end without saying what it found."""

from __future__ import annotations

import http.server
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from flashbench.evidence.documents import TrialDocument, VerdictDocument
from flashbench.services import Stack, StackRequest
from tests.end_to_end.reader import passed

ROOT = Path(__file__).resolve().parents[2]
FLASH_SALE = str(ROOT / "locustfiles" / "flash_sale.py")
NAIVE = f"{ROOT / 'benchmarks' / 'controls' / 'naive' / 'strategy.py'}:Naive"
LIMIT_S = 90.0
MARK = "FLASHBENCH_TEST_MARK"


@dataclass
class Run:
    """One Locust command in a session of its own, in a folder of its own that is not the checkout."""

    process: subprocess.Popen[bytes]
    log: Path
    folder: Path
    mark: str

    @classmethod
    def start(
        cls, folder: Path, *arguments: str, environment: dict[str, str] | None = None, file_limit_bytes: int = 0
    ) -> Run:
        mark = uuid.uuid4().hex
        (folder / "scratch").mkdir(exist_ok=True)

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit_bytes, file_limit_bytes))

        log = folder.with_name(f"{folder.name}-{mark}.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "locust", "--only-summary", *arguments],
                cwd=folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=limit if file_limit_bytes else None,
                env={**os.environ, MARK: mark, "TMPDIR": str(folder / "scratch"), **(environment or {})},
            )
        return cls(process, log, folder, mark)

    @property
    def text(self) -> str:
        return self.log.read_text()

    def until(self, happened: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not happened():
            assert time.monotonic() < deadline, f"{what} did not happen:\n{self.text}"
            assert self.process.poll() is None, f"ended before {what}:\n{self.text}"
            time.sleep(0.05)

    def until_buying(self) -> None:
        """Until the evidence shows that purchases were made."""

        def bought() -> bool:
            return any(path.stat().st_size for path in self.folder.glob("results/*/tries-*.bin"))

        self.until(bought, "buying")

    def forked_workers(self) -> list[psutil.Process]:
        return [child for child in psutil.Process(self.process.pid).children() if "locust" in child.cmdline()]

    def end(self) -> int:
        """The exit code; nothing of the run may be left, and nobody may have seen a traceback."""
        code = self.process.wait(LIMIT_S)
        deadline = time.monotonic() + 15
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == [], self.text
        assert list((self.folder / "scratch").iterdir()) == []
        assert "Traceback" not in self.text, self.text
        return code

    def left(self) -> list[list[str]]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.cmdline())
            except psutil.Error:
                continue
        return found

    def trial(self) -> Path:
        (folder,) = (self.folder / "results").iterdir()
        return folder

    def verdict(self) -> VerdictDocument:
        return VerdictDocument.from_json((self.trial() / "verdict.json").read_bytes())

    def document(self) -> TrialDocument:
        return TrialDocument.from_json((self.trial() / "trial.json").read_bytes())

    def ledger_rows(self) -> int:
        return int(pq.read_metadata(self.trial() / "ledger.parquet").num_rows)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack.start(StackRequest(plugins=(NAIVE,)), progress=lambda _: None) as started:
        yield started


@pytest.fixture
def at(stack: Stack) -> list[str]:
    """The options that aim a run at the stack that these tests share."""
    info = stack.info
    assert info.base_url
    return [
        *("--headless", "--host", info.base_url, "--admin-token", info.admin_token),
        *("--database-url", info.database_url, "--redis-url", info.redis_url),
    ]


def crowd(users: int, seconds: int) -> list[str]:
    return ["-u", str(users), "-r", str(users), "-t", f"{seconds}s"]


def test_a_broken_strategy_is_caught(tmp_path: Path, at: list[str]) -> None:
    run = Run.start(tmp_path, "-f", FLASH_SALE, *at, *crowd(100, 2), "--strategy", "naive", "--stock", "50")
    assert run.end() == 10, run.text
    assert run.ledger_rows() > 50


def test_the_plan_ends_the_run_and_twins_limits_and_quantities_are_kept(tmp_path: Path, at: list[str]) -> None:
    sale = ["--stock", "40", "--quantity", "3", "--skus", "3", "--per-user-limit", "6"]
    load = ["-u", "50", "--attempts", "4", "--twin-share", "0.3", "--think-ms", "50"]
    run = Run.start(tmp_path, "-f", FLASH_SALE, *at, *sale, *load)
    assert passed(run.end()), run.text
    assert run.ledger_rows() == 39
    tries = pq.read_table(run.trial() / "tries-0.parquet").to_pandas()
    assert tries["attempt"].nunique() == 50 * 4
    twins = tries[tries["try_number"] == 1]
    assert 30 <= len(twins) <= 90
    first = tries.drop_duplicates("user")
    assert (first["intended_ns"] == run.document().moments.released_ns).all()
    assert (tries["invoked_ns"] >= tries["intended_ns"]).all()
    assert (tries["outcome"] == "limited").any()


def test_two_processes_are_as_complete_as_one_and_survive_ctrl_c(tmp_path: Path, at: list[str]) -> None:
    run = Run.start(tmp_path, "-f", FLASH_SALE, *at, *crowd(100, 60), "--processes", "2")
    run.until_buying()
    os.killpg(run.process.pid, signal.SIGINT)
    assert passed(run.end()), run.text
    document = run.document()
    assert document.interrupted
    assert document.workers == ("0", "1")
    assert {closing.worker for closing in document.closings} == {"0", "1", "drain"}
    assert run.ledger_rows() == 100


def test_a_killed_worker_leaves_the_trial_unproven(tmp_path: Path, at: list[str]) -> None:
    run = Run.start(tmp_path, "-f", FLASH_SALE, *at, *crowd(100, 6), "--processes", "2")
    run.until_buying()
    run.forked_workers()[0].kill()
    assert run.end() == 11, run.text
    assert any("lost" in reason for reason in run.verdict().reasons)


def test_a_termination_in_mid_run_gives_a_judged_run(tmp_path: Path, at: list[str]) -> None:
    run = Run.start(tmp_path, "-f", FLASH_SALE, *at, *crowd(100, 60))
    run.until_buying()
    run.process.terminate()
    assert passed(run.end()), run.text
    assert run.verdict().verdict == "PASS"


def test_a_second_ctrl_c_makes_haste_and_leaves_cleanly(tmp_path: Path, at: list[str]) -> None:
    run = Run.start(tmp_path, "-f", FLASH_SALE, *at, *crowd(100, 60))
    run.until_buying()
    run.process.send_signal(signal.SIGINT)
    run.until(lambda: "at rest" in run.text, "the wait for rest")
    run.process.send_signal(signal.SIGINT)
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 11, run.text
    assert any("rest" in reason for reason in run.verdict().reasons)


def test_ctrl_c_before_the_run_ends_without_a_trial(tmp_path: Path) -> None:
    run = Run.start(tmp_path, "-f", FLASH_SALE, "--headless", *crowd(10, 5))
    run.until(lambda: "starting Postgres" in run.text, "the start of the stack")
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.end() == 11, run.text
    assert not (tmp_path / "results").exists()


def test_a_master_with_one_worker_beside_it_and_one_that_does_not_see_its_folder(tmp_path: Path, at: list[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    master_folder, *worker_folders = [tmp_path / name for name in ("master", "worker-a", "worker-b")]
    workers = []
    for folder in worker_folders:
        folder.mkdir()
        file = FLASH_SALE if folder.name == "worker-a" else str(_hiding_locustfile(folder))
        workers.append(Run.start(folder, "-f", file, "--worker", "--master-host", "127.0.0.1", "--master-port", port))
    master_folder.mkdir()
    binding = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2"]
    master = Run.start(master_folder, "-f", FLASH_SALE, *at, *binding, *crowd(60, 3))
    assert passed(master.end()), master.text
    assert [worker.end() for worker in workers] == [0, 0]
    document = master.document()
    assert document.workers == ("0", "1")
    recorded = sum(closing.tries for closing in document.closings if closing.worker != "drain")
    rows = sum(pq.read_metadata(master.trial() / f"tries-{index}.parquet").num_rows for index in (0, 1))
    assert recorded == rows > 60


def _hiding_locustfile(folder: Path) -> Path:
    """The same locustfile on a machine that does not see the master's folder."""
    path = folder / "hiding.py"
    path.write_text(
        "from flashbench.load.briefing import Briefing\n"
        "Briefing.sees_folder = lambda self: False\n" + Path(FLASH_SALE).read_text()
    )
    return path


def test_the_whole_folder_of_locustfiles_shares_one_sale_and_reads_are_reported(tmp_path: Path, at: list[str]) -> None:
    run = Run.start(tmp_path, "-f", str(ROOT / "locustfiles"), *at, *crowd(60, 3), "--stock", "30")
    code = run.end()
    assert passed(code), run.text
    everyone = sorted(path.stem for path in (ROOT / "locustfiles").glob("*.py"))
    assert run.document().scenario == "+".join(everyone)
    assert run.ledger_rows() == 30
    assert ("hit ratio" in run.text) is (code == 0), "figures are withheld where the machine was too busy for any"
    assert "shielding" in run.text
    assert "staleness" in run.text


def test_several_strategies_run_in_turn_and_the_worst_decides(tmp_path: Path, at: list[str]) -> None:
    both = ["--strategy", "naive", "--strategy", "row_lock"]
    run = Run.start(tmp_path, "-f", FLASH_SALE, *at, *crowd(60, 1), *both, "--stock", "30")
    assert run.end() == 10, run.text
    assert len(list((tmp_path / "results").iterdir())) == 2


def test_a_folder_that_fills_up_in_mid_run_bars_a_pass(tmp_path: Path, at: list[str]) -> None:
    run = Run.start(tmp_path, "-f", FLASH_SALE, *at, *crowd(100, 3), "--think-ms", "100", file_limit_bytes=100 * 1024)
    assert run.process.wait(LIMIT_S) == 11, run.text
    assert "can't be written" in run.text


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("flashbench.load.wiring.LoadWorker = refuse", "no room for records"),
        ("flashbench.load.conductor.make_folder = fail", "the run could not be started"),
    ],
)
def test_a_run_that_can_not_begin_ends_by_itself(tmp_path: Path, at: list[str], broken: str, says: str) -> None:
    locustfile = tmp_path / "sale.py"
    locustfile.write_text(
        "import flashbench.load.conductor, flashbench.load.wiring\n"
        "from flashbench import UsageError\n"
        f"exec(compile(open({FLASH_SALE!r}).read(), {FLASH_SALE!r}, 'exec'))\n"
        "def refuse(*_):\n    raise UsageError('no room for records')\n"
        "def fail(*_):\n    raise RuntimeError('of a kind that nobody foresaw')\n"
        f"{broken}\n"
    )
    run = Run.start(tmp_path, "-f", str(locustfile), *at, *crowd(10, 2))
    assert run.process.wait(LIMIT_S) == 11, run.text
    assert says in run.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--strategy", "rowlock"], "row_lock"),
        (["--strategy", "nothing.py:Here"], "nothing.py"),
        (["--stock", "many"], "--stock"),
        (["--stock", "-1"], "--stock"),
        (["--quantity", "0"], "--quantity"),
        (["--twin-share", "2"], "--twin-share"),
        (["-u", "200", "-r", "1", "-t", "4s"], "-r 200"),
        (["--per-user-limit", "1", "--quantity", "2"], "nobody could buy"),
        (["--evidence", "/proc/nowhere"], "--evidence"),
        (["--master"], "--host"),
        (["--host", "http://127.0.0.1:9"], "--admin-token"),
        (["--host", "elsewhere", "--admin-token", "t"], "http://host:port"),
        (["--host", "http://127.0.0.1:9", "--admin-token", "t", "--processes", "2"], "check --host"),
        (["--database-url", "postgresql://127.0.0.1:9/none"], "--database-url"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(tmp_path: Path, arguments: Sequence[str], said: str) -> None:
    run = Run.start(tmp_path, "-f", FLASH_SALE, "--headless", *arguments)
    assert run.end() == 2, run.text
    sentences = [line for line in run.text.splitlines() if said in line and "INFO" not in line]
    assert len(sentences) == 1, run.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch"]


def test_a_wrong_token_and_an_unknown_strategy_are_found_before_the_load(tmp_path: Path, at: list[str]) -> None:
    host, token = at[2], at[4]
    wrong = Run.start(tmp_path, "-f", FLASH_SALE, "--headless", "--host", host, "--admin-token", "wrong")
    assert wrong.end() == 2
    assert "--admin-token" in wrong.text
    mine = tmp_path / "mine.py"
    mine.write_text("class Mine:\n    name = 'mine'\n")
    stranger = Run.start(
        tmp_path, "-f", FLASH_SALE, "--headless", "--host", host, "--admin-token", token, "--strategy", "mine.py:Mine"
    )
    assert stranger.end() == 2
    assert "does not know the strategy 'mine'" in stranger.text


def test_a_host_that_answers_something_else(tmp_path: Path) -> None:
    class Hello(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}"
        run = Run.start(tmp_path, "-f", FLASH_SALE, "--headless", "--host", host, "--admin-token", "t")
        assert run.end() == 2, run.text
        server.shutdown()
    assert "check --host" in run.text


def test_what_a_suite_says_of_a_trial_stands_in_its_document(tmp_path: Path, at: list[str]) -> None:
    said = {"suite": "quick", "trial": "row_lock-s7", "control": False, "expectation": "pass", "fault": None}
    run = Run.start(
        tmp_path,
        *("-f", FLASH_SALE, *at, *crowd(20, 1), "--seed", "7", "--stock", "10"),
        environment={"FLASHBENCH_TRIAL": json.dumps({**said, "fingerprint": {"work": {"a": 1}}})},
    )
    assert passed(run.end()), run.text
    document = run.document()
    assert (document.suite, document.trial, document.seed) == ("quick", "row_lock-s7", 7)
    assert document.fingerprint == {"work": {"a": 1}}
    assert run.trial().name == "row_lock-s7"
