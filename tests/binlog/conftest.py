"""Reading a real MariaDB's binlog: a schema of its own for each test, and a reader that stops at the server's head."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.servers import Mariadb
from otter.binlog import decoder
from otter.binlog.stream import Stream
from otter.model.batch import Change, Kind, Position, Statement, Transaction
from otter.model.config import DataSource

PATIENCE = 60.0


class Source:
    """A schema on a MariaDB, and everything that was read from its binlog."""

    def __init__(self, server: Mariadb, schema: str) -> None:
        self.server = server
        self.schema = schema
        self.data_source = DataSource(
            name="src", host="127.0.0.1", port=server.port, username="otter", password="otter"
        )

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.run(*statements, database=self.schema)

    def head(self) -> Position:
        file, offset = self.server.run("SHOW MASTER STATUS")[0][:2]
        return Position(str(self.server.run("SELECT @@gtid_binlog_pos")[0][0]), file, offset)

    def stream(self, start: Position, wanted: Callable[[str, str], bool] | None = None, **options: Any) -> Stream:
        options.setdefault("server_id", uuid.uuid4().int % 4_000_000_000 + 1000)
        return Stream(self.data_source, position=start, wanted=wanted or self.is_mine, **options)

    def is_mine(self, schema: str, _table: str) -> bool:
        return schema == self.schema

    def read(self, start: Position, stream: Stream | None = None, **options: Any) -> Read:
        """Everything from ``start`` to the server's head of now."""
        stream = stream or self.stream(start, **options)
        end = self.head()
        items = []
        watchdog = threading.Timer(PATIENCE, stream.stop)
        watchdog.start()
        for item in stream_until(stream, end):
            items.append(item)
        watchdog.cancel()
        return Read(stream, items)


def stream_until(stream: Stream, end: Position) -> Iterator[Transaction | Statement]:
    """Items until the stream's position reaches ``end``; a thread stops it, as filtered traffic yields nothing."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            if (stream.position.file, stream.position.offset) >= (end.file, end.offset):
                stream.stop()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield from stream
    finally:
        done.set()
        watcher.join()


class Read:
    def __init__(self, stream: Stream, items: list[Transaction | Statement]) -> None:
        self.stream = stream
        self.items = items

    @property
    def transactions(self) -> list[Transaction]:
        return [item for item in self.items if isinstance(item, Transaction)]

    @property
    def statements(self) -> list[Statement]:
        return [item for item in self.items if isinstance(item, Statement)]

    @property
    def changes(self) -> list[Change]:
        return [change for transaction in self.transactions for change in transaction.changes]

    def literals(self, change: Change) -> list[Any]:
        table = self.stream.tables[change.table]
        return decoder.literals(table, change.kind, change.before, change.after)(change.body)

    def values(self, change: Change) -> list[Any]:
        table = self.stream.tables[change.table]
        return decoder.values(table, change.kind, change.before, change.after)(change.body)

    def rows(self, kind: Kind = Kind.INSERT) -> list[Any]:
        return [row for change in self.changes if change.kind == kind for row in self.values(change)]


def _schema(server: Mariadb) -> Iterator[Source]:
    name = f"binlog_{uuid.uuid4().hex[:12]}"
    server.run(f"CREATE DATABASE {name}")
    yield Source(server, name)
    server.run(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def source(mariadb: Mariadb) -> Iterator[Source]:
    yield from _schema(mariadb)


@pytest.fixture(scope="package")
def own_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mariadb]:
    """A server whose global settings and binlogs a test may spoil."""
    with Mariadb(tmp_path_factory.mktemp("own") / "mariadb", server_id=7) as server:
        yield server


@pytest.fixture
def own_source(own_mariadb: Mariadb) -> Iterator[Source]:
    yield from _schema(own_mariadb)
