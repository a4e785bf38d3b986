"""What the generator can't send, or sends late, must not look like the target's doing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# In a process of its own: importing Locust patches the one that does it for gevent.
SCRIPT = """
import os
import resource
import sys
from collections import Counter
from pathlib import Path

import gevent
import numpy as np
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from locust.env import Environment

from flashbench.evidence.columns import TRY_DTYPE
from flashbench.load.briefing import Briefing
from flashbench.load.buyer import Buyer
from flashbench.load.worker import LoadWorker

ALL = 150
inside = 0
everybody = Event()

def patient(environ, start):
    global inside
    inside += 1
    if inside == ALL:
        everybody.set()
    together = everybody.wait(5)
    start("409 Conflict" if together else "503 Service Unavailable", [("Content-Type", "application/json")])
    return [b'{"type": "/problems/sold-out"}']

class Somebody(Buyer):
    pass

folder = Path(sys.argv[1])
server = WSGIServer(("127.0.0.1", 0), patient, backlog=ALL, log=None)
server.start()
briefing = Briefing("t", "n", str(folder), "c", "s", ["sku-1"], 1, 0, ALL, 1, 0, 0.0, 0.0, 0.0, 1.0, {})
Buyer.load = LoadWorker(briefing, 0, folder, lambda: None)
Somebody.host = f"http://127.0.0.1:{server.server_port}"
buyer = Somebody(Environment(user_classes=[Somebody]))
buyer.on_start()
if sys.argv[2] == "short":
    beside = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (beside + 20, beside + 20))
buying = gevent.spawn(buyer.purchase, 0)
buying.join(3)
closing = Buyer.load.close(hurry=lambda: True)
print(inside, everybody.is_set(), closing.unsent > 0, closing.cut_off)
"""


def played(folder: Path, how: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), how], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_as_many_are_sent_at_once_as_are_due(tmp_path: Path) -> None:
    """A pool of connections would let some of them wait, on the target's account."""
    assert played(tmp_path, "enough") == ["150", "True", "False", "0"]


def test_what_could_not_be_sent_is_counted(tmp_path: Path) -> None:
    _, together, unsent, _ = played(tmp_path, "short")
    assert (together, unsent) == ("False", "True")
