"""A purchase that is sent and not recorded leaves an order that nobody is known to have asked for."""

import subprocess
import sys
from pathlib import Path

# In a process of its own: importing Locust patches the one that does it for gevent.
SCRIPT = """
import sys
from pathlib import Path

import gevent
from gevent.pywsgi import WSGIServer
from locust.env import Environment

from flashbench.load.briefing import Briefing
from flashbench.load.buyer import Buyer
from flashbench.load.worker import LoadWorker

served = []

def busy(environ, start):
    served.append(environ["PATH_INFO"])
    start("503 Service Unavailable", [("Retry-After", "0.2"), ("Content-Type", "application/problem+json")])
    return [b'{"effect": "none"}']

class Somebody(Buyer):
    pass

folder = Path(sys.argv[1])
server = WSGIServer(("127.0.0.1", 0), busy, log=None)
server.start()
briefing = Briefing("t", "n", str(folder), "c", "s", ["sku-1"], 1, 0, 1, 1, 0, 0.0, float(sys.argv[2]), 0.0, 1.0, {})
Buyer.load = LoadWorker(briefing, 0, folder, lambda: None)
Somebody.host = f"http://127.0.0.1:{server.server_port}"
buyer = Somebody(Environment(user_classes=[Somebody]))
buyer.on_start()
buying = gevent.spawn(buyer.purchase, 0)
while not served:
    gevent.sleep(0.005)
gevent.sleep(0.05)
closing = Buyer.load.close(hurry=lambda: True)
buying.join(5)
late = gevent.spawn(buyer.purchase, 0)
late.join(5)
print(len(served), closing.tries)
"""


def sent_and_recorded(folder: Path, twin_share: float) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(twin_share)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sent, recorded = map(int, done.stdout.split())
    return sent, recorded


def test_a_retry_that_is_due_after_the_end_is_not_sent(tmp_path: Path) -> None:
    assert sent_and_recorded(tmp_path, 0.0) == (1, 1)


def test_nor_is_a_twin(tmp_path: Path) -> None:
    assert sent_and_recorded(tmp_path, 1.0) == (2, 2)
