"""Inserts as row images: what the target takes, what it refuses, and that nothing is lost or wrong either way."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.decode import NARROW, WIDE, narrow_row, wide_row
from bench.servers import Mariadb
from otter.binlog.stream import Stream
from otter.dialect import schema
from otter.dialect.connection import Connection
from otter.errors import Retryable
from otter.load.replay import Replay, fits, is_replayable
from otter.load.shape import shape
from otter.load.stage import Loader, Prepared
from otter.load.statement import Statement
from otter.model.batch import Batch, Part, Position, Table, Transaction
from otter.model.batch import Statement as Ddl
from otter.model.config import DataSource
from tests.load.kit import data_source, task

ROWS = 600


@contextmanager
def database(server: Mariadb) -> Iterator[str]:
    name = f"replay_{uuid.uuid4().hex[:8]}"
    server.run(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        server.run(f"DROP DATABASE {name}")


def written(server: Mariadb, *statements: str, name: str) -> Batch:
    """What the binlog says of ``statements`` in database ``name``, as a batch."""
    start = Position(str(server.run("SELECT @@gtid_binlog_pos")[0][0]))
    server.run(*statements, database=name)
    end = str(server.run("SELECT @@gtid_binlog_pos")[0][0])
    stream = Stream(data_source(server), 1234567, start, lambda schema, _: schema == name)
    found: list[Transaction] = []
    for item in stream:
        if not isinstance(item, Ddl):
            found.append(item)
        if item.position.gtid == end:
            break
    stream.stop()
    return Batch(1, 1, 1, 1, start, found[-1].position, tuple(stream.tables), tuple(found))


def renamed(batch: Batch, name: str) -> Batch:
    tables = tuple(Table(name, t.name, t.columns, t.key, t.mariadb) for t in batch.tables)
    return Batch(1, 1, batch.epoch, batch.number, batch.start, batch.end, tables, batch.transactions)


def inserts(row, rows: int = ROWS) -> str:
    return "INSERT INTO t VALUES " + ",".join(row(i) for i in range(1, rows + 1))


@contextmanager
def opened(server: Mariadb, source: DataSource | None = None) -> Iterator[Loader]:
    work = task(server)
    if source:
        import msgspec

        work = msgspec.structs.replace(work, target=source)
    loader = Loader(work, 1)
    loader.open()
    try:
        yield loader
    finally:
        loader.close()
        server.run(f"DELETE FROM retl.otter_mark WHERE pipeline_id={work.id}",
                   f"DELETE FROM retl.otter_parked WHERE pipeline_id={work.id}")  # fmt: skip


def rows_of(server: Mariadb, name: str) -> list[tuple[object, ...]]:
    return server.run(f"SELECT * FROM {name}.t ORDER BY id")


def images(prepared: Prepared) -> list[Replay]:
    return [statement for statement in prepared.statements if isinstance(statement, Replay)]


@pytest.mark.parametrize(("columns", "row"), [(NARROW, narrow_row), (WIDE, wide_row)], ids=["narrow", "wide"])
def test_bulk_inserts_arrive_undecoded(mariadb: Mariadb, columns: str, row) -> None:
    with database(mariadb) as source, database(mariadb) as target, opened(mariadb) as loader:
        mariadb.run(f"CREATE TABLE t ({columns})", database=target)
        batch = renamed(written(mariadb, f"CREATE TABLE t ({columns})", inserts(row), name=source), target)
        prepared = loader.prepare(batch)
        assert images(prepared) and len(images(prepared)) == len(prepared.statements)
        loader.apply(prepared)
        assert rows_of(mariadb, target) == rows_of(mariadb, source)
        assert not loader._parking.rows


def test_they_are_in_the_targets_own_binlog_as_its_own(mariadb: Mariadb) -> None:
    """What replicates from the target must see them, in the transaction of the mark."""
    with database(mariadb) as source, database(mariadb) as target, opened(mariadb) as loader:
        mariadb.run(f"CREATE TABLE t ({NARROW})", database=target)
        batch = renamed(written(mariadb, f"CREATE TABLE t ({NARROW})", inserts(narrow_row), name=source), target)
        prepared = loader.prepare(batch)
        start = Position(str(mariadb.run("SELECT @@gtid_binlog_pos")[0][0]))
        loader.apply(prepared)
        end = str(mariadb.run("SELECT @@gtid_binlog_pos")[0][0])
        stream = Stream(data_source(mariadb), 1234568, start, lambda schema, _: schema in (target, "retl"))
        first = next(iter(stream))
        stream.stop()
        assert isinstance(first, Transaction) and first.position.gtid == end
        names = [stream.tables[change.table].schema for change in first.changes]
        assert names[0] == "retl" and sum(c.rows for c in first.changes[1:]) == ROWS


def test_a_row_that_is_there_already_costs_only_the_detour(mariadb: Mariadb) -> None:
    with database(mariadb) as source, database(mariadb) as target, opened(mariadb) as loader:
        mariadb.run(f"CREATE TABLE t ({NARROW})", "INSERT INTO t VALUES (300, -1, 'mine', '')", database=target)
        batch = renamed(written(mariadb, f"CREATE TABLE t ({NARROW})", inserts(narrow_row), name=source), target)
        applied = loader.apply(loader.prepare(batch))
        assert applied.conflicts == 1
        assert rows_of(mariadb, target) == rows_of(mariadb, source)


def test_a_table_that_is_changed_after_planning_is_planned_again(mariadb: Mariadb) -> None:
    """Swapped columns of one type: images would go to the wrong places without a word."""
    columns = "id INT PRIMARY KEY, a INT, b INT"
    with database(mariadb) as source, database(mariadb) as target, opened(mariadb) as loader:
        mariadb.run(f"CREATE TABLE t ({columns})", database=target)
        batch = written(mariadb, f"CREATE TABLE t ({columns})", inserts(lambda i: f"({i},{i},-{i})"), name=source)
        prepared = loader.prepare(renamed(batch, target))
        assert images(prepared)
        mariadb.run("ALTER TABLE t MODIFY b INT AFTER id", database=target)
        with pytest.raises(Retryable, match="was changed"):
            loader.apply(prepared)
        again = loader.prepare(renamed(batch, target))
        assert not images(again)
        loader.apply(again)
        assert mariadb.run(f"SELECT SUM(a), SUM(b) FROM {target}.t") == [(180300, -180300)]


def test_without_the_privilege_the_same_rows_go_as_sql(mariadb: Mariadb) -> None:
    user = f"plain_{uuid.uuid4().hex[:6]}"
    mariadb.run(f"CREATE USER {user}@'%' IDENTIFIED BY 'x'",
                f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON *.* TO {user}@'%'")  # fmt: skip
    account = DataSource(name="target", host="127.0.0.1", port=mariadb.port, username=user, password="x")
    with database(mariadb) as source, database(mariadb) as target, opened(mariadb, account) as loader:
        mariadb.run(f"CREATE TABLE t ({NARROW})", database=target)
        batch = renamed(written(mariadb, f"CREATE TABLE t ({NARROW})", inserts(narrow_row), name=source), target)
        prepared = loader.prepare(batch)
        assert images(prepared)
        loader.apply(prepared)
        assert rows_of(mariadb, target) == rows_of(mariadb, source)
        following = loader.prepare(batch).statements
        assert all(isinstance(statement, Statement) for statement in following)
    mariadb.run(f"DROP USER {user}@'%'")


def test_the_last_piece_of_a_giant_transaction_commits_all(mariadb: Mariadb) -> None:
    with database(mariadb) as source, database(mariadb) as target, opened(mariadb) as loader:
        mariadb.run(f"CREATE TABLE t ({NARROW})", database=target)
        whole = renamed(written(mariadb, f"CREATE TABLE t ({NARROW})", inserts(narrow_row, 2000), name=source), target)
        changes = whole.transactions[0].changes
        half = len(changes) // 2
        for number, (part, mine) in enumerate([(Part.FIRST, changes[:half]), (Part.LAST, changes[half:])], 1):
            piece = Transaction("", whole.end, 1.0, mine, part)
            batch = Batch(1, 1, 1, number, whole.start, whole.end, whole.tables, (piece,))
            loader.apply(loader.prepare(batch))
            assert len(rows_of(mariadb, target)) == (0 if part is Part.FIRST else 2000)


SAME = "id INT PRIMARY KEY, a INT UNSIGNED, s VARCHAR(20) CHARACTER SET latin1, e ENUM('x','y'), d DECIMAL(10,2)"


@pytest.mark.parametrize(
    ("target", "fitting"),
    [
        (SAME, True),
        (SAME.replace("UNSIGNED", ""), False),
        (SAME.replace("latin1", "utf8mb4"), False),
        (SAME.replace("'x','y'", "'y','x'"), False),
        (SAME.replace("10,2", "12,2"), False),
        (SAME.replace("VARCHAR(20)", "VARCHAR(30)"), False),
        (SAME.replace("a INT UNSIGNED", "b INT UNSIGNED"), False),
        (SAME.replace("a INT UNSIGNED", "a INT UNSIGNED NOT NULL"), False),
        (SAME.replace("id INT", "id BIGINT"), False),
        (SAME + ", extra INT", False),
        (SAME + ", g INT AS (a + 1) STORED", False),
        (SAME.replace("s VARCHAR", "S VARCHAR"), True),
        (SAME + ", CHECK (a < 300)", False),
        (SAME.replace("UNSIGNED", "UNSIGNED CHECK (a < 300)"), False),
    ],
)
def test_only_what_means_the_same_goes_as_images(mariadb: Mariadb, target: str, fitting: bool) -> None:
    with database(mariadb) as source, database(mariadb) as other:
        batch = written(mariadb, f"CREATE TABLE t ({SAME})", "INSERT INTO t VALUES (1,1,'a','x',1)", name=source)
        mariadb.run(f"CREATE TABLE t ({target})", database=other)
        with Connection(data_source(mariadb)) as connection:
            if "extra" in target or "AS (" in target or " b INT" not in target:
                found = shape(batch.tables[0], schema.read(connection, other, "t"))
                assert fits(found) is fitting
            else:
                assert not fitting  # the plan itself refuses a missing column


def test_a_trigger_wants_sql(mariadb: Mariadb) -> None:
    with database(mariadb) as source:
        batch = written(mariadb, f"CREATE TABLE t ({NARROW})", inserts(narrow_row, 300), name=source)
        with Connection(data_source(mariadb)) as connection:
            read = schema.read(connection, source, "t")
        plain = shape(batch.tables[0], read)
        changes = [change for transaction in batch.transactions for change in transaction.changes]
        assert is_replayable(plain, changes)
        assert not is_replayable(shape(batch.tables[0], dataclasses.replace(read, triggers=True)), changes)
        assert not is_replayable(plain, changes[:1])  # too few rows to be worth it


def test_the_session_is_as_before(mariadb: Mariadb) -> None:
    """The server runs a BINLOG statement as a replica would; what follows in the session must not notice."""
    what = ("SELECT @@server_id, @@foreign_key_checks, @@unique_checks, @@sql_mode, @@time_zone, @@gtid_domain_id, "
            "@@character_set_client, ABS(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), SYSDATE())) > 86400")  # fmt: skip
    with database(mariadb) as source, database(mariadb) as target, opened(mariadb) as loader:
        mariadb.run(f"CREATE TABLE t ({NARROW})", database=target)
        batch = renamed(written(mariadb, f"CREATE TABLE t ({NARROW})", inserts(narrow_row), name=source), target)
        assert loader._connection
        before = loader._connection.rows(what)
        loader.apply(loader.prepare(batch))
        assert loader._connection.rows(what) == before


def test_a_broken_foreign_key_is_seen(mariadb: Mariadb) -> None:
    with database(mariadb) as source, database(mariadb) as target, opened(mariadb) as loader:
        mariadb.run("CREATE TABLE p (id INT PRIMARY KEY)", "INSERT INTO p VALUES (1)",
                    "CREATE TABLE t (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id))",
                    database=target)  # fmt: skip
        statements = ("CREATE TABLE t (id INT PRIMARY KEY, p INT)", inserts(lambda i: f"({i},{2 if i == 77 else 1})"))
        batch = renamed(written(mariadb, *statements, name=source), target)
        prepared = loader.prepare(batch)
        assert images(prepared)
        assert loader.apply(prepared).parked == 1
        assert mariadb.run(f"SELECT COUNT(*) FROM {target}.t")[0][0] == ROWS - 1
