"""Connections, schemas, retl tables, statement text and doctor's checks on real servers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from bench.servers import Mariadb
from otter.dialect import mark, schema, source, sql
from otter.dialect.connection import Connection, SqlError
from otter.errors import Fatal, LeaseLost, Retryable
from otter.model.batch import Position
from otter.model.config import DataSource, Pair
from otter.model.process import Mark


def data_source(server: Mariadb, user: str = "otter", password: str = "otter") -> DataSource:
    return DataSource(name="hangzhou", host="127.0.0.1", port=server.port, username=user, password=password)


@pytest.fixture
def base(mariadb: Mariadb) -> Iterator[str]:
    name = f"dialect_{uuid.uuid4().hex[:10]}"
    mariadb.run(f"CREATE DATABASE {name}")
    yield name
    mariadb.run(f"DROP DATABASE {name}")


@pytest.fixture
def connection(mariadb: Mariadb) -> Iterator[Connection]:
    with Connection(data_source(mariadb)) as made:
        yield made


def test_the_session_keeps_what_a_replica_keeps(connection: Connection, base: str) -> None:
    connection.execute(f"CREATE TABLE {base}.t (id INT AUTO_INCREMENT PRIMARY KEY, d DATE, s VARCHAR(2))")
    connection.execute(f"INSERT INTO {base}.t VALUES (0,'0000-00-00','a'),(5,'2023-02-31','b'),(6,'2023-00-10','c')")
    rows = connection.rows(f"SELECT id, CAST(d AS CHAR) FROM {base}.t ORDER BY id")
    assert rows == [(0, "0000-00-00"), (5, "2023-02-31"), (6, "2023-00-10")]
    with pytest.raises(SqlError) as caught:
        connection.execute(f"INSERT INTO {base}.t VALUES (7,NULL,'abc')")
    assert caught.value.is_about_row
    assert connection.value("SELECT @@time_zone") == "+00:00"


def test_errors_are_told_apart(connection: Connection, base: str) -> None:
    connection.execute(f"CREATE TABLE {base}.t (id INT PRIMARY KEY)")
    connection.execute(f"INSERT INTO {base}.t VALUES (1)")
    with pytest.raises(SqlError) as caught:
        connection.execute(f"INSERT INTO {base}.t VALUES (1)")
    error = caught.value
    assert (error.code, error.is_duplicate, error.is_about_row, error.is_retryable) == (1062, True, True, False)
    assert isinstance(error.translated("on x.t"), Fatal)
    with pytest.raises(SqlError) as caught:
        connection.execute(f"SELECT * FROM {base}.missing")
    assert not caught.value.is_about_row


def test_a_lost_connection_is_lost_and_stays_so(mariadb: Mariadb, connection: Connection) -> None:
    mariadb.run(f"KILL {connection.id}")
    for _ in range(3):
        with pytest.raises(SqlError) as caught:
            connection.execute("SELECT 1")
        assert caught.value.is_lost
        assert isinstance(caught.value.translated("on x"), Retryable)
    connection.close()


def test_the_password_is_in_no_message(mariadb: Mariadb) -> None:
    for port in (mariadb.port, 1):
        with pytest.raises(SqlError) as caught:
            made = data_source(mariadb, password="very-secret-word")
            Connection(DataSource(**{**{f: getattr(made, f) for f in made.__struct_fields__}, "port": port}))
        assert "very-secret" not in repr(caught.value) + str(caught.value)
    assert "very-secret" not in repr(made)


def test_matched_and_changed_rows(connection: Connection, base: str) -> None:
    connection.execute(f"CREATE TABLE {base}.t (id INT PRIMARY KEY, v INT)")
    connection.execute(f"INSERT INTO {base}.t VALUES (1,1),(2,2)")
    assert (connection.execute(f"UPDATE {base}.t SET v=2"), connection.changed) == (2, 1)


def test_a_statement_that_is_too_long_is_not_sent(connection: Connection) -> None:
    connection.max_packet = 100
    with pytest.raises(SqlError, match="max_allowed_packet"):
        connection.execute(b"SELECT '" + b"x" * 100 + b"'")
    assert connection.value("SELECT 1") == 1


def test_schema_of_a_table(connection: Connection, base: str) -> None:
    connection.execute(f"CREATE TABLE {base}.parent (id INT PRIMARY KEY, code VARCHAR(9) NOT NULL UNIQUE)")
    connection.execute(
        f"CREATE TABLE {base}.t (a INT UNSIGNED NOT NULL, b VARCHAR(300) COLLATE utf8mb4_bin NOT NULL, c INT, "
        "g INT AS (a+1) VIRTUAL, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, "
        f"PRIMARY KEY (a,b(10)), UNIQUE KEY u (c), UNIQUE KEY v (b), KEY n (a), "
        f"CONSTRAINT fk FOREIGN KEY (c) REFERENCES {base}.parent(id) ON DELETE CASCADE)"
    )
    connection.execute(f"CREATE TRIGGER {base}.tr BEFORE INSERT ON {base}.t FOR EACH ROW SET NEW.c=1")
    table = schema.read(connection, base, "t")
    assert [(key.name, key.columns, key.whole) for key in table.keys] == [
        ("PRIMARY", ("a", "b"), False), ("u", ("c",), True), ("v", ("b",), True),
    ]  # fmt: skip
    assert table.match is not None
    assert table.match.name == "v"
    a, b, c, g, at = table.columns
    assert (a.type, a.data_type, a.collation, a.nullable, a.is_optional) == (
        "int(10) unsigned",
        "int",
        "",
        False,
        False,
    )
    assert (b.collation, c.nullable, g.generated, at.auto_update, at.is_optional) == (
        "utf8mb4_bin", True, True, True, True,
    )  # fmt: skip
    (fk,) = table.foreign
    assert (fk.child, fk.columns, fk.parent, fk.parent_columns, fk.cascades) == (
        (base, "t"), ("c",), (base, "parent"), ("id",), True,
    )  # fmt: skip
    assert table.triggers
    assert schema.read(connection, base, "parent").foreign == (fk,)
    with pytest.raises(Fatal, match=f"{base}.nothing does not exist"):
        schema.read(connection, base, "nothing")


def test_mark_moves_once(connection: Connection) -> None:
    mark.ensure(connection)
    pipeline = uuid.uuid4().int % 10**12
    assert mark.read(connection, pipeline).is_new
    mark.first(connection, pipeline, 1, "it's")
    mark.first(connection, pipeline, 1, "it's")
    wanted = Mark(3, 1, Position("0-1-5", "binlog.000001", 77))
    assert connection.execute(mark.move(pipeline, wanted, 1_700_000_000.25, 2)) == 1
    assert connection.execute(mark.move(pipeline, wanted, 0.0, 2)) == 0
    assert mark.read(connection, pipeline) == wanted
    committed = connection.value(
        "SELECT CAST(source_committed AS CHAR) FROM retl.otter_mark WHERE pipeline_id=%s", (pipeline,)
    )
    assert committed == "2023-11-14 22:13:20.250000"
    assert connection.execute(mark.move(pipeline, Mark(2, 2, Position()), 0.0, 2)) == 0
    assert connection.execute(mark.move(pipeline, Mark(4, 2, Position()), 0.0, 2)) == 1


def test_verdict() -> None:
    mark.verdict(Mark(3, 7), Mark(3, 6))
    for found, wanted in ((Mark(4, 7), Mark(3, 7)), (Mark(3, 5), Mark(3, 7)), (Mark(2, 7), Mark(3, 7))):
        with pytest.raises(LeaseLost):
            mark.verdict(found, wanted)


def test_literals_come_back(connection: Connection) -> None:
    for value in ("", "it's \\ \0 \n 水獭 😀", b"\x00\xff'\\", 12, -1.5, None):
        read = connection.row(b"SELECT " + sql.literal(value))
        assert read is not None
        found = float(read[0]) if isinstance(value, float) else read[0]
        assert found == value


def test_identifiers_are_quoted(connection: Connection, base: str) -> None:
    odd = sql.table(base, "a`b")
    connection.execute(b"CREATE TABLE " + odd + b" (" + sql.name("x`; DROP") + b" INT)")
    assert connection.execute(sql.insert(odd, [sql.name("x`; DROP")], [(b"1",), (b"2",)])) == 2


def test_cut() -> None:
    rows = [b"x" * size for size in (5, 5, 5, 50, 5)]
    runs = sql.cut(rows, 3, 12, b"".join)
    assert [len(run) for run, _ in runs] == [2, 1, 1, 1]
    assert b"".join(text for _, text in runs) == b"".join(rows)


def test_head_and_binlogs(connection: Connection, mariadb: Mariadb, base: str) -> None:
    before = source.head(connection)
    mariadb.run(f"CREATE TABLE {base}.t (id INT)")
    after = source.head(connection)
    assert after.gtid.startswith("1-1-")
    assert int(after.gtid.split("-")[2].split(",")[0]) > int(before.gtid.split("-")[2].split(",")[0])
    assert (after.file, after.offset) > (before.file, before.offset)
    assert source.binlogs(connection)[-1][0] == after.file


def test_clock_offset(connection: Connection) -> None:
    assert abs(source.clock_offset(connection)) < 0.5


def test_a_good_server_passes(connection: Connection) -> None:
    mark.ensure(connection)
    for role in ("source", "target"):
        checks = source.check(connection, role)  # type: ignore[arg-type]
        assert [line for line in checks if not line.ok] == []
        assert {line.subject for line in checks} == {"data source hangzhou"}


def test_every_wrong_setting_has_a_statement(mariadb: Mariadb) -> None:
    mariadb.run(
        "SET GLOBAL binlog_format=STATEMENT", "SET GLOBAL binlog_row_image=MINIMAL",
        "SET GLOBAL binlog_row_metadata=MINIMAL", "CREATE USER IF NOT EXISTS weak@'%' IDENTIFIED BY 'w'",
    )  # fmt: skip
    try:
        with Connection(data_source(mariadb, "weak", "w")) as weak:
            failed = {line.name: line.hint for line in source.check(weak, "source") if not line.ok}
            assert failed["binlog_format"].startswith("SET GLOBAL binlog_format=ROW;")
            assert failed["binlog_row_image"].startswith("SET GLOBAL binlog_row_image=FULL;")
            assert failed["binlog_row_metadata"].startswith("SET GLOBAL binlog_row_metadata=FULL;")
            assert failed["grant REPLICATION SLAVE"] == "GRANT REPLICATION SLAVE ON *.* TO 'weak'@'%';"
            assert failed["grant BINLOG MONITOR"] == "GRANT BINLOG MONITOR ON *.* TO 'weak'@'%';"
            failed = {line.name: line.hint for line in source.check(weak, "target") if not line.ok}
            assert failed["grant INSERT"] == "GRANT INSERT ON retl.* TO 'weak'@'%';"
    finally:
        mariadb.run(
            "SET GLOBAL binlog_format=ROW", "SET GLOBAL binlog_row_image=FULL", "SET GLOBAL binlog_row_metadata=FULL",
            "DROP USER weak@'%'",
        )  # fmt: skip


def test_pairs_are_compared(connection: Connection, mariadb: Mariadb, base: str) -> None:
    mariadb.run(
        f"CREATE TABLE {base}.a (id INT PRIMARY KEY, n VARCHAR(9), gone INT)",
        f"CREATE TABLE {base}.b (id BIGINT PRIMARY KEY, n VARCHAR(9), must INT NOT NULL)",
        f"CREATE TABLE {base}.c (id INT, n VARCHAR(9), gone INT) ENGINE=Aria",
    )
    pairs = [
        Pair(source=f"{base}.a"), Pair(source=f"{base}.a", target=f"{base}.b"),
        Pair(source=f"{base}.a", target=f"{base}.c"), Pair(source=f"{base}.x"),
    ]  # fmt: skip
    checks = source.check_pairs(connection, connection, pairs)
    failed = [(line.subject.split(f"{base}.")[-1], line.name, line.words) for line in checks if not line.ok]
    assert [(subject, name) for subject, name, _ in failed] == [
        ("b", "columns"), ("c", "key"), ("c", "engine"), ("x", "source table"), ("x", "target table"),
    ]  # fmt: skip
    words = failed[0][2]
    assert "id is int(11) on the source and bigint(20) on the target" in words
    assert "gone is missing" in words
    assert "must is only on the target" in words


def test_grants_by_schema() -> None:
    grants = source.Grants("'u'@'%'", ((frozenset({"SELECT"}), "shop_%", "*"), (frozenset({"INSERT"}), "a", "t")))
    assert grants.allow("SELECT", "shop_x", "t")
    assert not grants.allow("SELECT")
    assert grants.allow("INSERT", "a", "t")
    assert not grants.allow("INSERT", "a", "u")


def test_a_lock_wait_has_a_deadline(mariadb: Mariadb, base: str) -> None:
    mariadb.run(f"CREATE TABLE {base}.t (id INT PRIMARY KEY)", f"INSERT INTO {base}.t VALUES (1)")
    made = data_source(mariadb)
    with Connection(made, autocommit=False) as one, Connection(made, autocommit=False, lock_wait=1) as two:
        one.execute(f"DELETE FROM {base}.t")
        start = time.monotonic()
        with pytest.raises(SqlError) as caught:
            two.execute(f"DELETE FROM {base}.t")
        assert (caught.value.code, caught.value.is_retryable) == (1205, True)
        assert time.monotonic() - start < 10
        one.rollback()


def test_a_statement_has_a_deadline(mariadb: Mariadb) -> None:
    with Connection(data_source(mariadb), timeout=2) as short:
        start = time.monotonic()
        with pytest.raises(SqlError) as caught:
            many = ", ".join(f"information_schema.collations c{i}" for i in range(5))
            short.execute(f"SELECT COUNT(*) FROM {many}")
        assert caught.value.is_retryable
        assert time.monotonic() - start < 20
