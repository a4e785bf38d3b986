"""If these fail, a server that a fault took away comes back in the middle of it, or one that crashed never does."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from flashbench.services.child import Child, StartFailedError
from flashbench.services.control import Order, OrderRefusedError
from flashbench.services.server import Server
from flashbench.services.tending import BACK_AFTER_S, Tended


class Pretended(Server):
    """A server without a process."""

    name = "Pretended"
    returns = "as good as new"
    signals: ClassVar[Mapping[Order, signal.Signals]] = {Order.HANG: signal.SIGSTOP}

    def __init__(self) -> None:
        super().__init__()
        self.up, self.able, self.heard = True, True, list[signal.Signals]()

    @property
    def pid(self) -> int | None:
        return 1 if self.up else None

    def start(self, check: Callable[[], None]) -> None:
        if not self.able:
            raise StartFailedError("its port is taken")
        self.up = True

    def signal(self, number: signal.Signals) -> None:
        self.heard.append(number)

    def kill(self) -> None:
        self.up = False

    def _launch(self) -> Child:
        raise AssertionError

    def _answers(self) -> bool:
        raise AssertionError


@pytest.fixture
def server() -> Pretended:
    return Pretended()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def tended(server: Pretended, said: list[str]) -> Tended:
    return Tended(server, lambda: None, said.append)


def running(server: Pretended) -> bool:
    return server.pid is not None


def test_what_was_killed_on_order_stays_away_until_it_is_ordered_back(tended: Tended, server: Pretended) -> None:
    tended(Order.KILL)
    for second in range(60):
        tended.tend(float(second))
    assert not running(server)

    tended(Order.START)
    assert running(server)


def test_what_ended_by_itself_comes_back_after_a_while(tended: Tended, server: Pretended, said: list[str]) -> None:
    server.up = False

    tended.tend(100.0)
    tended.tend(100.0 + BACK_AFTER_S - 0.01)
    assert not running(server)
    tended.tend(100.0 + BACK_AFTER_S)

    assert running(server)
    assert said == ["Pretended has ended unasked; it is started again, as good as new, in 2 s"]


def test_what_does_not_come_back_is_tried_again(tended: Tended, server: Pretended, said: list[str]) -> None:
    server.up = server.able = False
    for second in range(10):
        tended.tend(float(second))
    assert said[1] == "Pretended did not come back: its port is taken"

    server.able = True
    for second in range(10, 14):
        tended.tend(float(second))
    assert running(server)


def test_what_ends_again_after_it_was_ordered_back_is_brought_back_too(tended: Tended, server: Pretended) -> None:
    tended(Order.KILL)
    tended(Order.START)
    server.up = False

    tended.tend(0.0)
    tended.tend(BACK_AFTER_S)

    assert running(server)


def test_an_order_that_a_server_can_not_obey_is_refused_by_name(tended: Tended, server: Pretended) -> None:
    tended(Order.HANG)
    with pytest.raises(OrderRefusedError, match="Pretended can't be told to resume"):
        tended(Order.RESUME)

    assert server.heard == [signal.SIGSTOP]
