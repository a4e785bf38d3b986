"""If these fail, a disturbed network does something else than a fault says, and a report explains what never was."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis
from redis import Redis

from flashbench.services import Stack, StackRequest
from flashbench.services.child import free_port
from flashbench.services.control import Control, Order, OrderRefusedError
from flashbench.services.proxy.behaviour import Behaviour, Counts
from flashbench.services.proxy.control import ProxyControl
from flashbench.services.proxy.plan import LinkPlan, ProxyPlan, host_and_port, server_place, through
from tests.timing import least_s
from tests.waiting import until

PLAIN = Behaviour()
PATIENCE_S = 0.3
MOST_EARLY_MS = 0.2  # a timer is set early by as much as it is usually late: 0.1 ms at most, each way


@dataclass(frozen=True)
class Network:
    """A stack's stores, straight and through the proxy."""

    stack: Stack
    proxy: ProxyControl

    def port(self, link: str) -> int:
        return host_and_port(self.proxy.place(link))[1]

    @property
    def redis_url(self) -> str:
        return through(self.stack.info.redis_url, self.port("redis"))

    @property
    def database_url(self) -> str:
        return through(self.stack.info.database_url, self.port("postgres"))

    def redis(self, patience_s: float | None = PATIENCE_S) -> Redis:
        """Through the proxy."""
        return Redis.from_url(self.redis_url, socket_timeout=patience_s, socket_connect_timeout=patience_s, retry=None)

    def straight(self) -> Redis:
        return Redis.from_url(self.stack.info.redis_url, socket_timeout=5)

    def line(self) -> socket.socket:
        """A plain connection to Redis through the proxy, logged in."""
        connection = socket.create_connection(("127.0.0.1", self.port("redis")), 5)
        try:
            connection.sendall(f"AUTH {urlsplit(self.redis_url).password}\r\n".encode())
            assert connection.recv(100) == b"+OK\r\n"
        except BaseException:
            connection.close()
            raise
        return connection


@pytest.fixture(scope="module")
def running() -> Iterator[Network]:
    with Stack.start(StackRequest(with_app=False, replica=True), progress=lambda _: None) as stack:
        assert stack.info.proxy is not None
        yield Network(stack, ProxyControl(stack.info.proxy))


@pytest.fixture
def network(running: Network) -> Iterator[Network]:
    """Undisturbed at the beginning and at the end."""
    with running.straight() as client:
        client.flushall()
    yield running
    for link in ("redis", "postgres", "replica"):
        running.proxy.behave(link, PLAIN)


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def takes_orders(proxy: ProxyControl) -> bool:
    try:
        return bool(proxy.place("redis"))
    except OrderRefusedError:
        return False


def was_reset(connection: socket.socket) -> bool:
    """Whether it ended with a RST, and not otherwise."""
    try:
        connection.sendall(b"PING\r\n")
        while connection.recv(65536):
            pass
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def since(before: Counts, after: Counts) -> dict[str, int]:
    return {name: value - getattr(before, name) for name, value in after.model_dump().items()}


def test_everything_passes_and_is_counted(network: Network) -> None:
    before = network.proxy.counts("redis")
    with network.line() as line:
        line.sendall(b"ECHO hello\r\n")
        assert line.recv(100) == b"$5\r\nhello\r\n"
        counted = since(before, network.proxy.counts("redis"))

    assert counted["connections"] == 1
    assert counted["bytes_up"] > len(b"ECHO hello\r\n")
    assert counted["bytes_down"] == len(b"+OK\r\n$5\r\nhello\r\n")
    with psycopg.connect(network.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_black_hole_holds_everything_and_loses_nothing(network: Network) -> None:
    before = network.proxy.counts("redis")
    with network.redis() as client, network.straight() as straight:
        assert client.ping()
        network.proxy.behave("redis", Behaviour(blackhole=True))
        with pytest.raises(redis.TimeoutError):
            client.set("late", "but executed")
        with pytest.raises(redis.TimeoutError):  # by now on a new connection, which is taken
            client.ping()
        assert straight.get("late") is None
        assert since(before, network.proxy.counts("redis"))["held_bytes"] > 0

        network.proxy.behave("redis", PLAIN)

        assert until(lambda: straight.get("late") == b"but executed"), "its client is gone, its command is not"
        assert answers(client)


def test_an_answer_that_a_black_hole_held_arrives(network: Network) -> None:
    with network.line() as line, network.straight() as straight:
        line.sendall(b"BLPOP list 0\r\n")
        assert until(lambda: "blpop" in [each["cmd"] for each in straight.client_list()])
        network.proxy.behave("redis", Behaviour(blackhole=True))
        straight.rpush("list", "x")
        assert until(lambda: straight.llen("list") == 0)
        line.settimeout(PATIENCE_S)
        with pytest.raises(TimeoutError):
            line.recv(100)

        network.proxy.behave("redis", PLAIN)

        line.settimeout(5)
        assert line.recv(100) == b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n"


def test_a_reset_hits_standing_connections_once(network: Network) -> None:
    before = network.proxy.counts("redis")
    with network.line() as line:
        network.proxy.behave("redis", Behaviour(reset=True))
        assert was_reset(line)
    with network.redis() as client:
        assert client.ping()
    assert since(before, network.proxy.counts("redis"))["resets"] == 1


def test_refused_connections_are_reset_and_so_are_those_that_stand(network: Network) -> None:
    before = network.proxy.counts("redis")
    with network.line() as line:
        network.proxy.behave("redis", Behaviour(refuse=True))
        assert was_reset(line)
    with pytest.raises(ConnectionResetError), network.line():  # as it connects, or at its first word
        pass
    counted = since(before, network.proxy.counts("redis"))
    assert (counted["resets"], counted["refused"]) == (1, 1)

    network.proxy.behave("redis", PLAIN)
    with network.redis() as client:
        assert client.ping()


def test_a_cut_connection_gets_so_many_bytes_and_no_more(network: Network) -> None:
    with network.straight() as straight:
        straight.set("big", b"x" * 100_000)
    with network.line() as line:
        network.proxy.behave("redis", Behaviour(cut_after_bytes=1000))
        line.sendall(b"GET big\r\n")
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := line.recv(65536):
                got += piece

        assert len(got) == 1000
        assert was_reset(line)
    assert network.proxy.counts("redis").cut >= 1


def test_a_commit_whose_answer_is_dropped_stands_though_its_client_sees_an_error(network: Network) -> None:
    before = network.proxy.counts("postgres")
    with psycopg.connect(network.stack.info.database_url, autocommit=True) as straight:
        straight.execute("CREATE TABLE dropped (number int)")
        with psycopg.connect(network.database_url) as connection:
            network.proxy.behave("postgres", Behaviour(drop_reply=True, matching="COMMIT"))
            connection.execute("INSERT INTO dropped VALUES (1)")
            with pytest.raises(psycopg.OperationalError):
                connection.commit()

        assert straight.execute("SELECT number FROM dropped").fetchall() == [(1,)]
        assert since(before, network.proxy.counts("postgres"))["dropped_replies"] == 1
        with psycopg.connect(network.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            connection.rollback()


def test_a_connection_whose_answer_was_dropped_may_stay_and_stay_silent(network: Network) -> None:
    with network.line() as line, network.straight() as straight:
        network.proxy.behave("redis", Behaviour(drop_reply=True, matching="INCR", ending="silence"))
        line.sendall(b"ECHO heard\r\n")
        assert line.recv(100) == b"$5\r\nheard\r\n"
        line.sendall(b"INCR counter\r\n")
        assert until(lambda: straight.get("counter") == b"1")
        network.proxy.behave("redis", PLAIN)
        line.sendall(b"INCR counter\r\n")
        assert until(lambda: straight.get("counter") == b"2")

        line.settimeout(PATIENCE_S)
        with pytest.raises(TimeoutError):
            line.recv(100)


def test_of_a_share_of_nothing_no_answer_is_dropped(network: Network) -> None:
    network.proxy.behave("redis", Behaviour(drop_reply=True, share=0.0))
    with network.redis() as client:
        assert all(client.ping() for _ in range(20))


def test_jitter_keeps_the_order_of_bytes(network: Network) -> None:
    with network.line() as line:
        network.proxy.behave("redis", Behaviour(jitter_ms=20))
        for number in range(200):
            line.sendall(f"ECHO {number:03}\r\n".encode())
        wanted = b"".join(f"$3\r\n{number:03}\r\n".encode() for number in range(200))
        got = b""
        while len(got) < len(wanted):
            got += line.recv(65536)

    assert got == wanted
    assert network.proxy.counts("redis").delayed_chunks > 0


def test_a_client_that_does_not_read_is_waited_for_in_little_memory(network: Network) -> None:
    with network.straight() as straight:
        straight.set("big", b"x" * 4_000_000)
        straight.config_set("client-output-buffer-limit", "normal 0 0 0")
    proxy = proxy_process(network)
    held_bytes = proxy.memory_info().rss
    with network.line() as line:
        line.sendall(b"GET big\r\n" * 20)
        assert until(lambda: network.proxy.counts("redis").bytes_down > 1_000_000)
        before = -1
        while before != (before := network.proxy.counts("redis").bytes_down):
            time.sleep(0.05)  # until it has stalled
        assert proxy.memory_info().rss - held_bytes < 20_000_000
        remaining = 20 * len(b"$4000000\r\n" + b"x" * 4_000_000 + b"\r\n")
        while remaining:
            remaining -= len(line.recv(1 << 20))


def test_a_server_that_does_not_read_is_waited_for_in_little_memory(network: Network) -> None:
    proxy = proxy_process(network)
    held_bytes = proxy.memory_info().rss
    network.proxy.behave("redis", Behaviour(blackhole=True))
    big = b"x" * 30_000_000
    with ThreadPoolExecutor(1) as aside, network.redis(patience_s=30) as client:
        setting = aside.submit(client.set, "big", big)
        assert until(lambda: network.proxy.counts("redis").held_bytes > 0)
        assert proxy.memory_info().rss - held_bytes < 20_000_000
        network.proxy.behave("redis", PLAIN)
        assert setting.result(30)
    with network.straight() as straight:
        assert straight.strlen("big") == len(big)


def test_who_says_no_more_is_still_answered(network: Network) -> None:
    network.proxy.behave("redis", Behaviour(latency_ms=20))
    with network.line() as line:
        line.sendall(b"ECHO last\r\n")
        line.shutdown(socket.SHUT_WR)

        got = b""
        while piece := line.recv(100):
            got += piece

    assert got == b"$4\r\nlast\r\n"


def test_a_server_that_is_killed_ends_its_connections_and_is_reached_again_when_it_is_back(network: Network) -> None:
    control = Control(network.stack.info.control)
    with network.line() as line, network.redis() as client:
        control("redis", Order.KILL)
        line.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(100) == b""
        with pytest.raises(redis.ConnectionError):
            client.ping()
        control("redis", Order.START)
        assert answers(client)


def test_connections_of_clients_that_are_gone_are_given_up(network: Network) -> None:
    proxy = proxy_process(network)
    opened = proxy.num_fds()
    for _ in range(20):
        with network.line():
            pass
        rude = network.line()
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        rude.close()
    assert until(lambda: proxy.num_fds() < opened + 20)  # the app may connect anew meanwhile, but not so often


def test_a_link_can_be_led_to_the_replica_and_back(network: Network) -> None:
    assert network.stack.info.replica_url is not None
    with network.line() as line, network.redis() as client:
        assert client.info("replication")["role"] == "master"

        network.proxy.point("redis", network.stack.info.replica_url)

        assert was_reset(line)
        assert client.info("replication")["role"] == "slave"
        network.proxy.point("redis", network.stack.info.redis_url)
        assert client.info("replication")["role"] == "master"


def test_a_replica_whose_link_is_cut_misses_writes_until_it_is_back(network: Network) -> None:
    assert network.stack.info.replica_url is not None
    replica = Redis.from_url(network.stack.info.replica_url, socket_timeout=5)
    with replica, network.straight() as primary:
        primary.set("before", 1)
        assert until(lambda: replica.get("before") == b"1")
        network.proxy.behave("replica", Behaviour(refuse=True))
        primary.set("missed", 1)
        assert until(lambda: replica.info("replication")["master_link_status"] == "down")
        assert replica.get("missed") is None

        network.proxy.behave("replica", PLAIN)

        assert until(lambda: replica.get("missed") == b"1")


def test_a_replica_obeys_orders_and_leaves_no_snapshot_in_either_folder(network: Network) -> None:
    assert network.stack.info.replica_url is not None
    control = Control(network.stack.info.control)
    replica = Redis.from_url(network.stack.info.replica_url, socket_timeout=5)
    with replica, network.straight() as primary:
        primary.set("copied", 1)
        folders = [Path(str(client.config_get("dir")["dir"])) for client in (primary, replica)]
        control("replica", Order.KILL)
        assert not answers(replica)
        control("replica", Order.START)
        assert until(lambda: answers(replica) and replica.get("copied") == b"1")

        assert until(lambda: not [path for folder in folders for path in folder.glob("*.rdb")])
        with pytest.raises(redis.ReadOnlyError):
            replica.set("mine", 1)


def test_a_proxy_that_is_killed_by_somebody_comes_back_under_the_same_addresses(network: Network) -> None:
    with network.redis() as client:
        network.proxy.behave("redis", Behaviour(blackhole=True))
        proxy_process(network).kill()
        assert until(lambda: answers(client))
        assert network.proxy.counts("redis").held_bytes == 0


def test_a_proxy_ends_with_its_input(network: Network) -> None:
    link = LinkPlan(port=free_port(), to=server_place(network.stack.info.redis_url))
    plan = ProxyPlan(control_port=free_port(), secret="known", links={"redis": link})
    own = ProxyControl(f"127.0.0.1:{plan.control_port}/{plan.secret}")
    command = [sys.executable, "-m", "flashbench.services.proxy"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(plan.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        assert until(lambda: takes_orders(own))

        process.stdin.close()

        assert process.wait(5) == 0


def test_only_those_who_know_the_secret_give_orders_and_only_sensible_ones(network: Network) -> None:
    assert network.stack.info.proxy is not None
    place, _, secret = network.stack.info.proxy.partition("/")
    with pytest.raises(OrderRefusedError, match="wrong secret"):
        ProxyControl(f"{place}/guess").behave("redis", Behaviour(refuse=True))
    with pytest.raises(OrderRefusedError, match="no link 'mail'; it has postgres, redis, replica"):
        network.proxy.counts("mail")
    with pytest.raises(OrderRefusedError, match="does not answer"):
        ProxyControl("127.0.0.1:1/secret").counts("redis")
    for nonsense in (
        b"nonsense\n",
        b"[]\n",
        b'{"secret": "%s", "link": "redis", "behave": {"speed": 1}}\n' % secret.encode(),
        b'{"secret": "%s", "link": "redis", "point": "nowhere"}\n' % secret.encode(),
        b'{"secret": "%s", "link": "redis"}\n' % secret.encode(),
    ):
        host, port = host_and_port(place)
        with socket.create_connection((host, port), 5) as connection, connection.makefile("rb") as line:
            connection.sendall(nonsense)
            assert b"that is not an order" in line.readline()
    with network.redis() as client:
        assert client.ping()


@pytest.mark.alone
def test_latency_is_added_in_each_direction_to_a_fraction_of_a_millisecond(network: Network) -> None:
    with network.redis() as client:
        undisturbed_ms = least_ms(client.ping)
        network.proxy.behave("redis", Behaviour(latency_ms=0.25))
        added_ms = least_ms(client.ping) - undisturbed_ms
        network.proxy.behave("redis", Behaviour(latency_ms=5))
        much_added_ms = least_ms(client.ping, 100) - undisturbed_ms

    assert 0.5 - MOST_EARLY_MS < added_ms < 0.8
    assert 10 - MOST_EARLY_MS < much_added_ms < 10.5


@pytest.mark.alone
def test_a_round_trip_that_a_stack_was_asked_for_holds_for_both_stores() -> None:
    with Stack.start(StackRequest(with_app=False, store_rtt_ms=1), progress=lambda _: None) as stack:
        assert stack.info.proxy is not None
        network = Network(stack, ProxyControl(stack.info.proxy))
        with network.redis() as client, network.straight() as straight:
            redis_ms = least_ms(client.ping) - least_ms(straight.ping)
        with (
            psycopg.connect(network.database_url, autocommit=True) as through_proxy,
            psycopg.connect(stack.info.database_url, autocommit=True) as direct,
        ):
            postgres_ms = least_ms(lambda: through_proxy.execute("SELECT 1")) - least_ms(
                lambda: direct.execute("SELECT 1")
            )
        assert network.proxy.counts("redis").delayed_chunks == 0, "it is no fault's doing"

    assert 1 - MOST_EARLY_MS < redis_ms < 1.4
    assert 1 - MOST_EARLY_MS < postgres_ms < 1.4


@pytest.mark.alone
def test_requests_that_wait_do_not_wait_for_each_other(network: Network) -> None:
    with network.line() as line:
        network.proxy.behave("redis", Behaviour(latency_ms=50))

        def fifty() -> None:
            for _ in range(50):
                line.sendall(b"PING\r\n")
                time.sleep(0.001)  # so that each is a piece of its own
            got = b""
            while len(got) < 50 * len(b"+PONG\r\n"):
                got += line.recv(65536)

        assert 0.15 < least_s(fifty, 3) < 0.3


def least_ms(action: Callable[[], object], samples: int = 300) -> float:
    return least_s(action, samples) * 1000


def proxy_process(network: Network) -> psutil.Process:
    """The proxy of this stack."""
    (found,) = (
        child
        for child in psutil.Process(network.stack.info.supervisor_pid).children()
        if "flashbench.services.proxy" in child.cmdline()
    )
    return found
