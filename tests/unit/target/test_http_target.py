"""What the plain client does where there is no proper target; a wrong host must end in one sentence."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flashbench.errors import UsageError
from flashbench.target.http import HttpTarget, Offer, OfferedStrategy, TargetGoneError, TargetSilentError, checked_url
from flashbench.target.protocol import PurchaseOrder
from flashbench.trial.plan import sale_of
from flashbench.vocabulary import Outcome

ORDER = PurchaseOrder("s", "sku-1", 1, 7, bytes(16))
Answering = Callable[[str, str], tuple[int, object] | None]


@pytest.fixture
def serve() -> Iterator[Callable[[Answering], str]]:
    """Starts a server that answers as it is told; None cuts the connection."""
    servers: list[ThreadingHTTPServer] = []

    def start(answering: Answering) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = answering(self.command, self.path)
                if answer is None:
                    self.close_connection = True
                    return
                body = answer[1] if isinstance(answer[1], bytes) else json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_refused_connection_provably_had_no_effect() -> None:
    with HttpTarget("http://127.0.0.1:9", "t") as target:
        assert target.buy(ORDER).outcome is Outcome.FAILED
        assert target.read("s", "sku-1").status == 0
        with pytest.raises(UsageError, match="check --host"):
            target.offer()
        with pytest.raises(TargetGoneError):
            target.in_flight()


def test_a_connection_cut_after_the_request_was_sent_is_unknown(serve: Callable[[Answering], str]) -> None:
    with HttpTarget(serve(lambda *_: None), "t") as target:
        assert target.buy(ORDER).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("answer", [(200, b"<html>hello</html>"), (200, []), (200, {"strategies": 3}), (404, {})])
def test_a_host_that_answers_something_else(serve: Callable[[Answering], str], answer: tuple[int, object]) -> None:
    with HttpTarget(serve(lambda *_: answer), "t") as target, pytest.raises(UsageError, match="check --host"):
        target.offer()


def test_a_wrong_token_is_said_in_one_sentence(serve: Callable[[Answering], str]) -> None:
    with HttpTarget(serve(lambda *_: (401, {})), "t") as target:
        with pytest.raises(UsageError, match="--admin-token"):
            target.check_token()
        with pytest.raises(UsageError, match="--admin-token"):
            target.open(sale_of("row_lock", skus=1, stock=1, per_user_limit=0))


def test_a_sale_that_is_refused_passes_the_reason_on(serve: Callable[[Answering], str]) -> None:
    with (
        HttpTarget(serve(lambda *_: (422, {"detail": "no such strategy"})), "t") as target,
        pytest.raises(UsageError, match="no such strategy"),
    ):
        target.open(sale_of("row_lock", skus=1, stock=1, per_user_limit=0))


@pytest.mark.parametrize(
    ("stated", "read"),
    [
        ({}, ()),
        ({"lock_keys": None}, ()),
        ({"lock_keys": "lock"}, ()),
        ({"lock_keys": ["lock:{sale_id}:{sku}"]}, ("lock:{sale_id}:{sku}",)),
    ],
)
def test_the_locks_of_a_sale_are_read_where_a_target_states_them(
    serve: Callable[[Answering], str], stated: dict[str, object], read: tuple[str, ...]
) -> None:
    with HttpTarget(serve(lambda *_: (201, {"sale_id": "s", "counter": None, **stated})), "t") as target:
        opened = target.open(sale_of("redis_lock", skus=1, stock=1, per_user_limit=0))
    assert (opened.sale_id, opened.lock_keys) == ("s", read)


def test_in_flight_is_summed_over_workers(serve: Callable[[Answering], str]) -> None:
    text = b'# HELP x\ntarget_app_in_flight{pid="1"} 2.0\ntarget_app_in_flight{pid="2"} 1.0\ntarget_app_in_flight_x 9\n'
    with HttpTarget(serve(lambda *_: (200, text)), "t") as target:
        assert target.in_flight() == 3
    with HttpTarget(serve(lambda *_: (200, b"other 1\n")), "t") as target:
        assert target.in_flight() is None
    with HttpTarget(serve(lambda *_: (503, {})), "t") as target, pytest.raises(TargetSilentError) as refused:
        target.in_flight()
    assert not isinstance(refused.value, TargetGoneError)


def test_a_ledger_that_is_not_the_contracts(serve: Callable[[Answering], str]) -> None:
    with HttpTarget(serve(lambda *_: (200, b'{"order_id": "1"}\n')), "t") as target:
        with pytest.raises(TargetSilentError, match="no field"):
            list(target.ledger("s"))
        with pytest.raises(TargetSilentError):
            target.stock("s")


def test_a_plug_in_is_known_by_its_source() -> None:
    offer = Offer((OfferedStrategy("mine", "/x/my.py:Mine"), OfferedStrategy("row_lock", None)), 3.0)
    assert offer.registered_name("Mine", "/x/my.py:Mine") == "mine"
    assert offer.registered_name("row_lock", None) == "row_lock"
    assert offer.registered_name("naive", "/x/naive.py:Naive") is None


@pytest.mark.parametrize("text", ["", "localhost:8000", "ftp://x", "http://", "http://x:99999", "http://[::1"])
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(UsageError, match="--host"):
        checked_url(text)
