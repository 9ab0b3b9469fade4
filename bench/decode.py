"""Decoding alone: our generated decoders against pymysqlreplication's, on the same binlog of a private MariaDB.

``python -m bench.decode [--rows N] [--json FILE]``. CPU time of the reading thread, medians of 3. Bulk cases time only
what turns row images into values (ours: SQL literals; the library: ``event.rows``). ``one-row`` is a whole stream of
one-row transactions, socket included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from bench.servers import Mariadb
from otter.binlog import decoder
from otter.binlog.stream import Stream
from otter.model.batch import Change, Position, Table, Transaction
from otter.model.config import DataSource

REPETITIONS = 3
PASSES = 5  # over the same rows in one repetition: ours alone would be over too soon to measure
GOAL = 10.0

NARROW = "id INT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL"
WIDE = """
id BIGINT UNSIGNED PRIMARY KEY, customer INT UNSIGNED NOT NULL, shop SMALLINT, flags TINYINT UNSIGNED, medium MEDIUMINT,
created DATETIME(6) NOT NULL, changed TIMESTAMP(3) NULL, day DATE, clock TIME(2), year YEAR,
price DECIMAL(12,2) NOT NULL, tax DECIMAL(30,10), weight FLOAT, ratio DOUBLE,
state ENUM('new','paid','sent','returned') NOT NULL, tags SET('a','b','c','d'), bits BIT(12), doc JSON,
note VARCHAR(300), name VARCHAR(60) CHARACTER SET utf8mb4 NOT NULL,
latin VARCHAR(40) CHARACTER SET latin1, code CHAR(10), raw BLOB, hash BINARY(16), body TEXT"""


def narrow_row(i: int) -> str:
    return f"({i},{i * 7919 % 1000003},'{str(i * 31) * 12:.119}','{str(i * 17) * 6:.59}')"


def wide_row(i: int) -> str:
    null = "NULL" if i % 3 == 0 else f"'note number {i}'"
    return (
        f"({i},{i * 3},{i % 30000},{i % 256},{-i % 8000000},"
        f"'2026-11-{i % 28 + 1:02} 12:{i % 60:02}:{i * 7 % 60:02}.{i % 1000000:06}',"
        f"'2026-01-{i % 28 + 1:02} 01:02:03.{i % 1000:03}','2025-{i % 12 + 1:02}-15',"
        f"'-12:34:56.{i % 100:02}',{1950 + i % 100},"
        f"{i * 13 % 10000000}.{i % 100:02},"
        f"-{i}.0000000{i % 1000:03},{i}.5,{i}.25e-3,'{('new', 'paid', 'sent')[i % 3]}',"
        f"'a,c',b'101010101010',"
        f"'{{\"k\": {i}, \"v\": [1, 2, \"x\"]}}',{null},'名字 {i}','caf\\u00e9 {i}','c{i % 100}',"
        f"x'{i:016x}27',x'{i:032x}','it\\'s text {i} {'lorem ipsum ' * 6}')"
    )


def fill(server: Mariadb, table: str, columns: str, row: Callable[[int], str], rows: int) -> None:
    server.run(f"CREATE TABLE decode_bench.{table} ({columns})")
    for start in range(1, rows + 1, 500):
        chunk = ",".join(row(i) for i in range(start, min(start + 500, rows + 1)))
        server.run(f"INSERT INTO decode_bench.{table} VALUES {chunk}")


def source(server: Mariadb) -> DataSource:
    return DataSource(name="bench", host="127.0.0.1", port=server.port, username="otter", password="otter")


def head(server: Mariadb) -> Position:
    file, offset = server.run("SHOW MASTER STATUS")[0][:2]
    return Position(str(server.run("SELECT @@gtid_binlog_pos")[0][0]), file, offset)


def transactions(server: Mariadb, start: Position, end: Position) -> Iterator[tuple[Transaction, list[Table]]]:
    """Our stream from ``start`` to ``end``."""
    stream = Stream(source(server), 901, start, lambda schema, _: schema == "decode_bench")
    watchdog = threading.Timer(300, stream.stop)
    watchdog.start()
    for item in stream:
        if isinstance(item, Transaction):
            yield item, stream.tables
        if item.position.offset >= end.offset:
            stream.stop()
    watchdog.cancel()


def decode_change(table: Table, change: Change) -> int:
    return len(decoder.literals(table, change.kind, change.before, change.after)(change.body))


def ours(server: Mariadb, start: Position, end: Position) -> float:
    """µs a row, decoding only."""
    changes = [(tables[c.table], c) for t, tables in transactions(server, start, end) for c in t.changes]
    begun = time.thread_time()
    rows = sum(decode_change(table, change) for _ in range(PASSES) for table, change in changes)
    return (time.thread_time() - begun) / rows * 1e6


def library_reader(server: Mariadb, start: Position) -> BinLogStreamReader:
    return BinLogStreamReader(
        connection_settings={"host": "127.0.0.1", "port": server.port, "user": "otter", "password": "otter"},
        server_id=902, blocking=False, resume_stream=True, log_file=start.file, log_pos=start.offset, is_mariadb=False,
        only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent], only_schemas=["decode_bench"],
        enable_logging=False,
    )  # fmt: skip


def library(server: Mariadb, start: Position, end: Position) -> float:
    """The same rows by the library: its events are collected first, their rows are lazy."""
    reader = library_reader(server, start)
    events = []
    for event in reader:
        if event.packet.log_pos > end.offset:
            break
        events.append(event)
    reader.close()
    begun = time.thread_time()
    rows = sum(len(event.rows) for event in events)
    return (time.thread_time() - begun) / rows * 1e6


def ours_all_in(server: Mariadb, start: Position, end: Position) -> float:
    """µs a transaction: socket, assembly and literals."""
    begun, count = time.thread_time(), 0
    for transaction, tables in transactions(server, start, end):
        count += sum(decode_change(tables[change.table], change) for change in transaction.changes)
    return (time.thread_time() - begun) / count * 1e6


def library_all_in(server: Mariadb, start: Position, end: Position) -> float:
    reader = library_reader(server, start)
    begun, count = time.thread_time(), 0
    for event in reader:
        if event.packet.log_pos > end.offset:
            break
        count += len(event.rows)
    spent = time.thread_time() - begun
    reader.close()
    return spent / count * 1e6


def compare(server: Mariadb, name: str, start: Position, all_in: bool = False) -> dict[str, Any]:
    end = head(server)
    first, second = (ours_all_in, library_all_in) if all_in else (ours, library)
    pairs = [(first(server, start, end), second(server, start, end)) for _ in range(REPETITIONS)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = theirs / mine
    print(f"{ratio:6.1f} x  {name:14} ours {mine:7.2f} µs/row   pymysqlreplication {theirs:7.2f} µs/row", flush=True)
    return {"case": name, "ratio": ratio, "ours": mine, "library": theirs, "runs": pairs}


def cases(server: Mariadb, rows: int) -> Iterator[dict[str, Any]]:
    server.run("CREATE DATABASE decode_bench")
    for name, columns, row, change in (
        ("narrow", NARROW, narrow_row, "k = k + 1, c = REVERSE(c)"),
        ("wide", WIDE, wide_row, "price = price + 1, note = 'changed'"),
    ):
        start = head(server)
        fill(server, name, columns, row, rows)
        yield compare(server, f"{name} insert", start)
        start = head(server)
        server.run(f"UPDATE decode_bench.{name} SET {change}")
        yield compare(server, f"{name} update", start)
    start = head(server)
    with server.connect("decode_bench") as connection, connection.cursor() as cursor:
        for i in range(3 * rows):
            cursor.execute(f"UPDATE narrow SET k = {i} WHERE id = {i % 1000 + 1}")
    yield compare(server, "one-row", start, all_in=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    with tempfile.TemporaryDirectory() as folder, Mariadb(Path(folder) / "mariadb") as server:
        results = list(cases(server, arguments.rows))
    worst = min(result["ratio"] for result in results if result["case"] != "one-row")
    print(f"{worst:6.1f} x  at least, decoding alone (goal {GOAL:.0f} x)")
    if arguments.json:
        arguments.json.write_text(json.dumps({"cases": results, "worst": worst, "goal": GOAL}, indent=2))


if __name__ == "__main__":
    main()
