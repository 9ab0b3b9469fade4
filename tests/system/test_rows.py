"""Rows cross: small and giant transactions, other names, several pairs, both ways."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pymysql

from .cluster import Cluster, Line, channel_of, schema_on, until


def make(schema: str, *tables: str) -> list[str]:
    return [
        f"CREATE TABLE {schema}.{table} (id INT PRIMARY KEY, words VARCHAR(200), pad MEDIUMBLOB)" for table in tables
    ]


def test_a_bank_crosses_and_its_books_are_right_all_the_while(open_bank: Any) -> None:
    bank = open_bank()
    bank.writer.more(100)
    bank.settle()
    until(lambda: bank.channel.view.rows > 500, "its rows are counted")


def test_a_large_transaction_is_one_commit(cluster: Cluster, schema: str) -> None:
    for server in (cluster.hangzhou, cluster.us_west):
        server.run(*make(schema, "big"))
    line = Line(cluster.hangzhou, cluster.us_west, {f"{schema}.big": f"{schema}.big"})
    with channel_of(cluster, [line], schema) as channel:
        channel.start()
        before = commits_with(cluster, schema)
        with Watcher(cluster, f"{schema}.big") as watcher:
            fill(cluster, f"{schema}.big", rows=60, size=100_000)  # 6 MB
            channel.arrived()
        assert watcher.counts == {0, 60}
        assert commits_with(cluster, schema) - before == 1


def test_a_giant_transaction_travels_in_pieces_and_commits_once(cluster: Cluster, schema: str) -> None:
    for server in (cluster.hangzhou, cluster.us_west):
        server.run(*make(schema, "big"))
    line = Line(cluster.hangzhou, cluster.us_west, {f"{schema}.big": f"{schema}.big"})
    with channel_of(cluster, [line], schema) as channel:
        channel.start()
        before = commits_with(cluster, schema)
        with Watcher(cluster, f"{schema}.big") as watcher:
            fill(cluster, f"{schema}.big", rows=300, size=200_000)  # 60 MB
            channel.arrived()
            until(lambda: channel.view.batches_file >= 4, "pieces are counted")
        assert watcher.counts == {0, 300}
        assert commits_with(cluster, schema) - before == 1


def fill(cluster: Cluster, table: str, rows: int, size: int, first: int = 0) -> None:
    """Inserts ``rows`` rows of ``size`` random bytes in one transaction; keys from ``first`` on."""
    with cluster.hangzhou.connect() as connection, connection.cursor() as cursor:
        connection.begin()
        for number in range(first, first + rows):
            cursor.execute(f"INSERT INTO {table} VALUES (%s, 'x', _binary %s)", (number, random.randbytes(size)))
        connection.commit()


class Watcher:
    """Which row counts of a target table were ever seen."""

    def __init__(self, cluster: Cluster, table: str) -> None:
        self._cluster, self._table = cluster, table
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.counts: set[int] = set()

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        with self._cluster.us_west.connect() as connection, connection.cursor() as cursor:
            while not self._stop.wait(0.02):
                cursor.execute(f"SELECT COUNT(*) FROM {self._table}")
                self.counts.add(cursor.fetchone()[0])


def commits_with(cluster: Cluster, schema: str) -> int:
    """Transactions in the target's binlog that write to a table of ``schema``."""
    count, seen = 0, False
    port = cluster.us_west.port
    with pymysql.connect(host="127.0.0.1", port=port, user="root", use_unicode=False) as connection:
        for kind, info in binlog(connection.cursor()):
            if kind == b"Gtid":
                seen = False
            elif kind == b"Table_map" and f"({schema}.".encode() in info and not seen:
                seen = True
                count += 1
    return count


def binlog(cursor: Any) -> Iterator[tuple[bytes, bytes]]:
    """Type and words of every event."""
    cursor.execute("SHOW BINARY LOGS")
    for file, *_ in cursor.fetchall():
        cursor.execute(b"SHOW BINLOG EVENTS IN '%s'" % file)
        for _, _, kind, _, _, info in cursor.fetchall():
            yield kind, info


def test_pairs_names_and_what_is_not_mapped(cluster: Cluster, schema: str) -> None:
    with schema_on(cluster.us_west) as other:
        cluster.hangzhou.run(*make(schema, "orders", "customers", "private"))
        cluster.us_west.run(*make(other, "orders_copy"), *make(schema, "customers", "private"))
        copies = {f"{schema}.orders": f"{other}.orders_copy", f"{schema}.customers": f"{schema}.customers"}
        with channel_of(cluster, [Line(cluster.hangzhou, cluster.us_west, copies)], schema) as channel:
            channel.start()
            for number in range(20):
                cluster.hangzhou.run(
                    "BEGIN",
                    *(f"INSERT INTO {schema}.{table} VALUES ({number}, '词 {number}', NULL)"
                      for table in ("orders", "private", "customers")),
                    "COMMIT",
                )  # fmt: skip
            cluster.hangzhou.run(
                f"UPDATE {schema}.orders SET words = NULL WHERE id < 5",
                f"UPDATE {schema}.customers SET id = id + 100 WHERE id = 3",
                f"DELETE FROM {schema}.orders WHERE id > 15",
                f"DELETE FROM {schema}.private WHERE id = 1",
            )
            channel.arrived()
            assert cluster.us_west.run(f"SELECT COUNT(*) FROM {other}.orders_copy") == [(16,)]
            assert cluster.us_west.run(f"SELECT COUNT(*) FROM {schema}.private") == [(0,)]


def test_both_ways_without_a_loop(cluster: Cluster, schema: str) -> None:
    here, there = cluster.hangzhou, cluster.us_west
    for server in (here, there):
        server.run(*make(schema, "orders"))
    copies = {f"{schema}.orders": f"{schema}.orders"}
    nodes = {"selectNodes": ["n1"], "loadNodes": ["n1"]}
    with channel_of(cluster, [Line(here, there, copies), Line(there, here, copies)], schema, **nodes) as channel:
        channel.start()
        for number in range(30):
            here.run(f"INSERT INTO {schema}.orders VALUES ({2 * number}, 'from here {number}', NULL)")
            there.run(f"INSERT INTO {schema}.orders VALUES ({2 * number + 1}, 'from there {number}', NULL)")
        here.run(f"UPDATE {schema}.orders SET words = 'changed here' WHERE id IN (0, 2, 4)")
        there.run(f"DELETE FROM {schema}.orders WHERE id IN (1, 3)")
        fill(cluster, f"{schema}.orders", rows=50, size=400_000, first=1000)  # in pieces, and none of them comes back
        channel.arrived()
        assert here.run(f"SELECT COUNT(*) FROM {schema}.orders") == [(108,)]
        until(lambda: [view.rows for view in channel.pipelines()] == [83, 32], "each row went one way")
        rest = until(lambda: at_rest(cluster, 13), "both binlogs come to rest", 60)
        assert rest


def at_rest(cluster: Cluster, seconds: float) -> bool:
    """Nothing was written into either binlog for longer than any of our timers."""
    before = [server.run("SELECT @@gtid_binlog_pos") for server in (cluster.hangzhou, cluster.us_west)]
    time.sleep(seconds)  # what does not happen has no event
    return before == [server.run("SELECT @@gtid_binlog_pos") for server in (cluster.hangzhou, cluster.us_west)]
