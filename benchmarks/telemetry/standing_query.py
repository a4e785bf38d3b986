"""One statement, asked of Postgres again and again, for whose answer nobody waits longer than they want to.

psycopg's own connections wait at least two seconds for a server that takes a connection and says nothing, and for ever
for one that stops in mid-statement. Here libpq is asked without blocking ("Asynchronous Command Processing" and
"PQconnectStartParams" in its manual): what was not done within the limit is gone on with the next time.
"""

from __future__ import annotations

import select
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn, PGresult

Row = Sequence[bytes | None]  # the values as text

_NAME = b"standing"


@dataclass(frozen=True, slots=True)
class _Wait:
    """What has to be waited for before libpq can go on."""

    socket: int
    to_write: bool = False

    def is_over(self, deadline_s: float) -> bool:
        """Whether the socket is ready before a moment of the monotonic clock."""
        limit_s = max(0.0, deadline_s - time.monotonic())
        readable, writable, _ = select.select(
            [] if self.to_write else [self.socket], [self.socket] if self.to_write else [], [], limit_s
        )
        return bool(readable or writable)


class StandingQuery:
    """A statement that gives one row, with its parameters as text.

    ::

        query = StandingQuery(url, "SELECT count(*) FROM stock WHERE sale_id = $1", ["…"], application_name="me")
        row = query.ask(limit_s=0.06)
    """

    def __init__(
        self, url: str, statement: str, parameters: Sequence[str], *, application_name: str, options: str = ""
    ) -> None:
        self._where = make_conninfo(url, application_name=application_name, options=options).encode()
        self._statement = statement.encode()
        self._parameters = [each.encode() for each in parameters]
        self._connection: PGconn | None = None
        self._steps: Generator[_Wait | Row | None, None, None] | None = None
        self._wait: _Wait | None = None

    def ask(self, limit_s: float) -> Row | None:
        """The row; None if Postgres refuses, fails, or does not answer within the limit."""
        deadline_s = time.monotonic() + limit_s
        if self._steps is None:
            self._steps = self._conversation()
        try:
            while self._wait is None or self._wait.is_over(deadline_s):
                step = next(self._steps)
                if not isinstance(step, _Wait):
                    self._wait = None
                    return step
                self._wait = step
        except (psycopg.Error, OSError, ValueError):  # ValueError: the socket is gone
            self.close()
        return None

    def close(self) -> None:
        """Let go of the connection; asking again makes another."""
        self._steps = self._wait = None
        if self._connection is not None:
            self._connection.finish()
            self._connection = None

    def _conversation(self) -> Generator[_Wait | Row | None, None, None]:
        """All that is ever said on a connection: a row, or None, for every time that it is asked."""
        connection = self._connection = pq.PGconn.connect_start(self._where)
        while (state := connection.connect_poll()) != pq.PollingStatus.OK:
            if state == pq.PollingStatus.FAILED:
                raise psycopg.OperationalError(connection.error_message.decode(errors="replace"))
            yield _Wait(connection.socket, to_write=state == pq.PollingStatus.WRITING)
        connection.nonblocking = 1
        prepared = False
        while True:
            if not prepared:
                connection.send_prepare(_NAME, self._statement)
                prepared = (yield from _result(connection)).status == pq.ExecStatus.COMMAND_OK
                if not prepared:
                    yield None
                    continue
            connection.send_query_prepared(_NAME, self._parameters)
            result = yield from _result(connection)
            answered = result.status == pq.ExecStatus.TUPLES_OK and result.ntuples == 1
            yield [result.get_value(0, column) for column in range(result.nfields)] if answered else None


def _result(connection: PGconn) -> Generator[_Wait, None, PGresult]:
    """The last result of what was sent; OperationalError if the connection did not live to see it."""
    while connection.flush():
        yield _Wait(connection.socket, to_write=True)
    last: PGresult | None = None
    while True:
        while connection.is_busy():
            yield _Wait(connection.socket)
            connection.consume_input()
        result = connection.get_result()
        if result is not None:
            last = result
        elif last is None or connection.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError("the connection was lost")
        else:
            return last
