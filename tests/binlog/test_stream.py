"""The stream over a real MariaDB: resuming, pieces, filtering, server settings, stopping, and what it refuses."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest

from bench.servers import Mariadb
from otter.binlog.position import contains
from otter.binlog.stream import Stream
from otter.errors import Fatal, Retryable
from otter.model.batch import Kind, Part, Position, Transaction
from tests.binlog.conftest import PATIENCE, Source


def three_transactions(source: Source) -> Position:
    source.run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))")
    start = source.head()
    source.run("INSERT INTO t VALUES (1,'a'), (2,'b')")
    source.run("BEGIN", "UPDATE t SET v = 'c' WHERE id = 1", "DELETE FROM t WHERE id = 2", "COMMIT")
    source.run("INSERT INTO t VALUES (3, NULL)")
    return start


def check_resume(source: Source, start: Position, keep: str) -> None:
    """Reads all, then again from behind each transaction; ``keep`` says which half of the position is used."""
    whole = source.read(start)
    assert [[change.kind for change in transaction.changes] for transaction in whole.transactions] == [
        [Kind.INSERT], [Kind.UPDATE, Kind.DELETE], [Kind.INSERT],
    ]  # fmt: skip
    assert whole.stream.position.gtid == source.head().gtid
    for place, transaction in enumerate(whole.transactions):
        at = transaction.position
        resumed = source.read(Position(at.gtid) if keep == "gtid" else Position("", at.file, at.offset))
        assert resumed.transactions == [
            msgspec.structs.replace(later, committed=again.committed)
            for later, again in zip(whole.transactions[place + 1 :], resumed.transactions, strict=True)
        ]


def test_resume_by_gtid(source: Source) -> None:
    check_resume(source, three_transactions(source), "gtid")


def test_resume_by_file_and_offset(source: Source) -> None:
    """MariaDB tells the GTID position of the place, so positions are whole from the first transaction on."""
    check_resume(source, three_transactions(source), "file")


def test_commit_time_is_the_second_of_the_source(source: Source) -> None:
    before = time.time()
    start = three_transactions(source)
    after = time.time()
    for transaction in source.read(start).transactions:
        assert before - 1 <= transaction.committed <= after + 1
        assert isinstance(transaction.committed, float)


def test_live_commit_time_is_the_arrival(source: Source) -> None:
    source.run("CREATE TABLE t (id INT PRIMARY KEY)")
    stream = source.stream(source.head())
    timer = threading.Timer(0.5, source.run, ("INSERT INTO t VALUES (1)",))
    timer.start()
    item = next(iter(stream))
    assert abs(item.committed - time.time()) < 1
    assert item.committed % 1
    stream.stop()


def test_filtered_tables_cost_nothing_but_move_the_position(source: Source) -> None:
    start = three_transactions(source)
    asked: list[tuple[str, str]] = []

    def wanted(schema: str, table: str) -> bool:
        asked.append((schema, table))
        return False

    read = source.read(start, wanted=wanted)
    assert read.items == []
    assert read.stream.tables == []
    assert read.stream.position.gtid == source.head().gtid
    assert asked == [(source.schema, "t")]


def test_position_is_what_was_taken(source: Source) -> None:
    stream = source.stream(start := three_transactions(source))
    items = iter(stream)
    first = next(items)
    assert stream.position == start
    second = next(items)
    assert stream.position == first.position
    assert contains(second.position, first.position)
    stream.stop()


def test_mixed_tables_in_one_transaction(source: Source) -> None:
    source.run("CREATE TABLE a (id INT)", "CREATE TABLE b (id INT)")
    start = source.head()
    source.run("BEGIN", "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (2)", "INSERT INTO a VALUES (3)", "COMMIT")
    read = source.read(start, wanted=lambda schema, table: (schema, table) == (source.schema, "a"))
    assert read.rows() == [(1,), (3,)]
    assert len(read.transactions) == 1


def test_giant_transaction_comes_in_pieces(source: Source) -> None:
    source.run("CREATE TABLE t (id INT PRIMARY KEY, body BLOB)")
    start = source.head()
    source.run("BEGIN", *(f"INSERT INTO t VALUES ({i}, REPEAT('x', 30000))" for i in range(40)), "COMMIT")
    source.run("INSERT INTO t VALUES (99, 'y')")
    read = source.read(start, piece_bytes=200_000)
    parts = [transaction.part for transaction in read.transactions]
    assert parts[0] == Part.FIRST
    assert parts[-2:] == [Part.LAST, Part.WHOLE]
    assert set(parts[1:-2]) == {Part.MIDDLE}
    assert [row[0] for row in read.rows()] == [*range(40), 99]
    *pieces, last, _ = read.transactions
    assert all(piece.position == start and piece.gtid == last.gtid for piece in pieces)
    assert contains(last.position, start) and last.position != start
    assert all(sum(len(change.body) for change in piece.changes) <= 200_000 for piece in read.transactions)


def test_rows_larger_than_a_packet(source: Source) -> None:
    """An event over 16 MiB comes in several packets."""
    source.run("SET GLOBAL max_allowed_packet=268435456", "CREATE TABLE t (id INT PRIMARY KEY, body LONGBLOB)")
    start = source.head()
    source.run("INSERT INTO t VALUES (1, REPEAT('x', 16777216 + 16777216 - 100)), (2, REPEAT('y', 20000000)), (3, 'z')")
    read = source.read(start)
    literals = [row for change in read.changes for row in read.literals(change)]
    assert [len(row[1]) for row in literals] == [33554332 + 9, 20000000 + 9, 10]


def test_ddl_between_rows_gives_a_new_definition(source: Source) -> None:
    source.run("CREATE TABLE t (id INT PRIMARY KEY)")
    start = source.head()
    source.run("INSERT INTO t VALUES (1)", "ALTER TABLE t ADD COLUMN name VARCHAR(10) DEFAULT 'n'")
    source.run("INSERT INTO t (id) VALUES (2)", "RENAME TABLE t TO u", "INSERT INTO u VALUES (3, 'x')", "DROP TABLE u")
    read = source.read(start)
    assert [[column.name for column in table.columns] for table in read.stream.tables] == [
        ["id"], ["id", "name"], ["id", "name"],
    ]  # fmt: skip
    assert [table.name for table in read.stream.tables] == ["t", "t", "u"]
    assert read.rows() == [(1,), (2, "n"), (3, "x")]
    assert [statement.sql.split()[0] for statement in read.statements] == ["ALTER", "RENAME", "DROP"]
    assert {statement.schema for statement in read.statements} == {source.schema}


def test_create_table_select(source: Source) -> None:
    source.run("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1),(2)")
    start = source.head()
    source.run("CREATE TABLE u AS SELECT * FROM t")
    statement, rows = source.read(start).items
    assert statement.position == start
    assert isinstance(rows, Transaction)
    assert rows.gtid == statement.gtid
    assert rows.changes[0].rows == 2


def test_rolled_back_savepoint_and_myisam(source: Source) -> None:
    source.run("CREATE TABLE t (id INT)", "CREATE TABLE m (id INT) ENGINE=MyISAM")
    start = source.head()
    source.run(
        "BEGIN", "INSERT INTO t VALUES (1)", "SAVEPOINT s", "INSERT INTO t VALUES (2)", "ROLLBACK TO s", "COMMIT"
    )
    source.run("INSERT INTO m VALUES (3)")
    source.run("BEGIN", "INSERT INTO t VALUES (4)", "ROLLBACK")
    assert source.read(start).rows() == [(1,), (3,)]


def test_statement_format_is_refused(source: Source) -> None:
    source.run("CREATE TABLE t (id INT)", "CREATE TABLE other (id INT)")
    start = source.head()
    source.run("SET SESSION binlog_format=STATEMENT", "INSERT INTO other VALUES (1)", "INSERT INTO t VALUES (2)")
    assert source.read(start, wanted=lambda *_: False).items == []
    with pytest.raises(Fatal, match="binlog_format=ROW") as caught:
        source.read(start, wanted=lambda schema, table: (schema, table) == (source.schema, "t"))
    assert f"{source.schema}.t" in caught.value.message


def test_names_are_required(own_source: Source) -> None:
    own_source.run("CREATE TABLE t (id INT)")
    start = own_source.head()
    own_source.run("SET GLOBAL binlog_row_metadata=MINIMAL")
    try:
        own_source.run("INSERT INTO t VALUES (1)")
    finally:
        own_source.run("SET GLOBAL binlog_row_metadata=FULL")
    with pytest.raises(Fatal, match="binlog_row_metadata=FULL"):
        own_source.read(start)


@pytest.mark.parametrize("checksum", ["NONE", "CRC32"])
def test_checksum_on_and_off(own_source: Source, checksum: str) -> None:
    """Also a change of the setting: the stream crosses into a file of the other kind."""
    own_source.run("CREATE TABLE t (id INT)", f"SET GLOBAL binlog_checksum={checksum}")
    start = own_source.head()
    own_source.run("INSERT INTO t VALUES (1)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (2)")
    try:
        read = own_source.read(start)
        assert read.rows() == [(1,), (2,)]
        assert read.stream.position.gtid == own_source.head().gtid
    finally:
        own_source.run("SET GLOBAL binlog_checksum=CRC32")


def test_compressed_events(own_source: Source) -> None:
    own_source.run("SET GLOBAL log_bin_compress=1", "SET GLOBAL log_bin_compress_min_len=10")
    try:
        start = own_source.head()
        own_source.run(
            "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000)) COMMENT 'a text that is worth compressing'"
        )
        own_source.run("INSERT INTO t VALUES (1, REPEAT('x', 900)), (2, REPEAT('y', 900))")
        own_source.run("UPDATE t SET v = REPEAT('z', 900)", "DELETE FROM t")
        read = own_source.read(start)
    finally:
        own_source.run("SET GLOBAL log_bin_compress=0")
    assert [change.kind for change in read.changes] == [Kind.INSERT, Kind.UPDATE, Kind.DELETE]
    assert read.rows() == [(1, "x" * 900), (2, "y" * 900)]
    assert read.statements[0].sql.startswith("CREATE TABLE t")


def test_stop_ends_a_blocked_read_at_once(source: Source) -> None:
    stream = source.stream(source.head(), heartbeat=30.0)
    ended = threading.Event()

    def consume() -> None:
        assert list(stream) == []
        ended.set()

    consumer = threading.Thread(target=consume)
    consumer.start()
    while stream._packets is None:
        time.sleep(0.01)
    begun = time.monotonic()
    stream.stop()
    assert ended.wait(PATIENCE)
    assert time.monotonic() - begun < 2
    consumer.join()


def test_heartbeats_keep_an_idle_stream_alive(source: Source) -> None:
    stream = source.stream(source.head(), heartbeat=0.2)
    timer = threading.Timer(3, stream.stop)  # longer than ten heartbeats
    timer.start()
    assert list(stream) == []
    assert time.monotonic() - stream.head_seen < 1


def test_wrong_password(source: Source) -> None:
    broken = msgspec.structs.replace(source.data_source, password="hunter2-secret")
    with pytest.raises(Fatal, match="REPLICATION SLAVE") as caught:
        next(iter(Stream(broken, 5, source.head(), source.is_mine)))
    assert "hunter2" not in f"{caught.value}{caught.value.__context__!r}{caught.value.__cause__!r}"


def test_missing_grant(source: Source) -> None:
    source.run("CREATE OR REPLACE USER poor@'%' IDENTIFIED BY 'poor'", "GRANT SELECT ON *.* TO poor@'%'")
    poor = msgspec.structs.replace(source.data_source, username="poor", password="poor")
    with pytest.raises(Fatal, match="REPLICATION SLAVE"):
        next(iter(Stream(poor, 5, source.head(), source.is_mine)))


def test_nobody_there(source: Source) -> None:
    nobody = msgspec.structs.replace(source.data_source, port=1)
    with pytest.raises(Retryable, match="src"):
        next(iter(Stream(nobody, 5, source.head(), source.is_mine)))


@pytest.mark.parametrize("half", ["gtid", "file"])
def test_purged_binlog_names_the_position(own_source: Source, half: str) -> None:
    start = three_transactions(own_source)
    own_source.run("FLUSH BINARY LOGS")
    own_source.run("INSERT INTO t VALUES (4, NULL)", "FLUSH BINARY LOGS")
    time_limit = time.monotonic() + PATIENCE
    while own_source.run("SHOW BINARY LOGS")[0][0] <= start.file:  # the server purges only what it has synced
        own_source.run(f"PURGE BINARY LOGS TO '{own_source.head().file}'")
        assert time.monotonic() < time_limit
    lost = Position(start.gtid) if half == "gtid" else Position("", start.file, start.offset)
    with pytest.raises(Fatal, match="purged") as caught:
        next(iter(own_source.stream(lost)))
    assert (start.gtid if half == "gtid" else start.file) in caught.value.message


def test_position_of_another_server(source: Source) -> None:
    with pytest.raises(Fatal, match="1-1-99999999"):
        next(iter(source.stream(Position("1-1-99999999"))))


def test_no_position(source: Source) -> None:
    with pytest.raises(Fatal, match="no position"):
        next(iter(source.stream(Position())))


def test_offset_that_cannot_be_asked_for(source: Source) -> None:
    with pytest.raises(Fatal, match="GTID"):
        next(iter(source.stream(Position("", "binlog.000001", 5 << 30))))


def test_server_id_taken(source: Source) -> None:
    start = three_transactions(source)
    first = source.stream(start, server_id=4242)
    items = iter(first)
    next(items)
    second = source.stream(start, server_id=4242)
    next(iter(second))
    with pytest.raises(Retryable):
        for _ in items:
            pass
    second.stop()


def test_connection_killed_is_retryable_and_never_silently_reopened(source: Source) -> None:
    stream = source.stream(three_transactions(source))
    items = iter(stream)
    taken = [next(items) for _ in range(3)]
    for (thread,) in source.run("SELECT id FROM information_schema.processlist WHERE command = 'Binlog Dump'"):
        source.run(f"KILL {thread}")
    with pytest.raises(Retryable):
        next(items)
    assert stream.position == taken[-1].position


def test_restart_of_the_source_and_rotation(own_mariadb: Mariadb, own_source: Source) -> None:
    """A restart begins a new file and may use table ids again; a stream from before it goes on where it was."""
    start = three_transactions(own_source)
    own_mariadb.stop()
    own_mariadb.start()
    own_source.run(
        "CREATE TABLE a (x INT)", "INSERT INTO a VALUES (7)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (9,'z')"
    )
    read = own_source.read(start)
    assert read.rows() == [(1, "a"), (2, "b"), (3, None), (7,), (9, "z")]
    assert read.stream.position.gtid == own_source.head().gtid
    assert read.stream.position.file > start.file
