"""A bank that keeps books: every transaction changes several rows, so that any half, lost or doubled one shows.

Transfers move money between accounts (the sum never changes), write two entries and a journal line, and count
themselves. On the target a trigger counts journal lines as they are inserted: one that came twice would count twice.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pymysql

from bench.servers import Mariadb

ACCOUNTS, MONEY = 40, 1000
TABLES = ("accounts", "entries", "journal", "counter", "notes")


def tables(schema: str) -> list[str]:
    return [
        f"CREATE TABLE {schema}.accounts (id INT PRIMARY KEY, owner VARCHAR(40) NOT NULL UNIQUE, balance INT NOT NULL)",
        f"CREATE TABLE {schema}.entries (id INT AUTO_INCREMENT PRIMARY KEY, journal INT NOT NULL, account INT NOT NULL,"
        " amount INT NOT NULL, KEY (journal))",
        f"CREATE TABLE {schema}.journal (id INT PRIMARY KEY, at DATETIME(6) NOT NULL, words VARCHAR(80))",
        f"CREATE TABLE {schema}.counter (id INT PRIMARY KEY, transfers INT NOT NULL)",
        f"CREATE TABLE {schema}.notes (id INT PRIMARY KEY, pad MEDIUMBLOB)",
    ]


def opening(schema: str) -> list[str]:
    """The first transaction: accounts with money and a counter at 0."""
    rows = ",".join(f"({number}, '户主 {number}', {MONEY})" for number in range(ACCOUNTS))
    return [
        "BEGIN",
        f"INSERT INTO {schema}.accounts VALUES {rows}",
        f"INSERT INTO {schema}.counter VALUES (1, 0)",
        "COMMIT",
    ]


def tripwire(schema: str) -> list[str]:
    """For the target: counts journal lines as they come."""
    return [
        f"CREATE TABLE {schema}.came (n INT NOT NULL)",
        f"INSERT INTO {schema}.came VALUES (0)",
        f"CREATE TRIGGER {schema}.came_in AFTER INSERT ON {schema}.journal FOR EACH ROW"
        f" UPDATE {schema}.came SET n = n + 1",
    ]


class Writer:
    """Transfers as fast as ``pause`` lets it, on a thread. It outlives a restart of its server."""

    def __init__(self, server: Mariadb, schema: str, pause: float = 0.01, pad: int = 0) -> None:
        self._server, self._schema, self._pause, self._pad = server, schema, pause, pad
        self._random = random.Random(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.committed = 0
        self.failure: BaseException | None = None

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        if self.failure:
            raise self.failure

    def more(self, count: int = 20, seconds: float = 60) -> None:
        """Waits until ``count`` more transfers are committed."""
        goal, deadline = self.committed + count, time.monotonic() + seconds
        while self.committed < goal:
            assert self.failure is None, self.failure
            assert time.monotonic() < deadline, "the writer stands still"
            self._stop.wait(0.02)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._session()
        except (pymysql.MySQLError, OSError) as error:
            self.failure = error

    def _session(self) -> None:
        try:
            with self._server.connect(self._schema) as connection, connection.cursor() as cursor:
                while not self._stop.wait(self._pause):
                    self._transfer(connection, cursor)
                    self.committed += 1
        except pymysql.MySQLError as error:
            if error.args[0] not in {1053, 1927, 2003, 2006, 2013}:
                raise
            self._stop.wait(0.2)

    def _transfer(self, connection: pymysql.Connection[Any], cursor: Any) -> None:
        one, two = self._random.sample(range(ACCOUNTS), 2)
        amount = self._random.randint(1, 50)
        connection.begin()
        cursor.execute("UPDATE counter SET transfers = transfers + 1 WHERE id = 1")
        cursor.execute("SELECT transfers FROM counter WHERE id = 1")
        number = cursor.fetchone()[0]
        cursor.execute("INSERT INTO journal VALUES (%s, NOW(6), %s)", (number, f"转账 {amount} from {one} to {two}"))
        cursor.execute("UPDATE accounts SET balance = balance - %s WHERE id = %s", (amount, one))
        cursor.execute("UPDATE accounts SET balance = balance + %s WHERE id = %s", (amount, two))
        cursor.execute("INSERT INTO entries (journal, account, amount) VALUES (%s, %s, %s), (%s, %s, %s)",
                       (number, one, -amount, number, two, amount))  # fmt: skip
        pad = self._random.randbytes(self._pad or 20)
        cursor.execute("REPLACE INTO notes VALUES (%s, %s)", (self._random.randint(1, 60), pad))
        if number % 3 == 0:
            cursor.execute("DELETE FROM notes WHERE id = %s", (self._random.randint(1, 60),))
        connection.commit()


class Reader:
    """Audits the books on the target all the while, each time in one snapshot; keeps what was wrong."""

    def __init__(self, server: Mariadb, schema: str) -> None:
        self._server, self._schema = server, schema
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.looks = 0
        self.wrong: list[str] = []
        self.failure: BaseException | None = None

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        if kind is None:
            assert self.failure is None, self.failure
            assert not self.wrong, self.wrong[:3]
            assert self.looks

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._session()
        except (pymysql.MySQLError, OSError) as error:
            self.failure = error

    def _session(self) -> None:
        try:
            with self._server.connect(self._schema) as connection, connection.cursor() as cursor:
                while not self._stop.wait(0.05):
                    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                    self.wrong += audit(cursor)
                    connection.commit()
                    self.looks += 1
        except pymysql.MySQLError as error:
            if error.args[0] not in {1053, 1927, 2003, 2006, 2013}:
                raise
            self._stop.wait(0.2)


def audit(cursor: Any) -> list[str]:
    """What is wrong in the books within the open snapshot; an empty bank is right."""
    cursor.execute(
        "SELECT (SELECT COUNT(*) FROM accounts), (SELECT COALESCE(SUM(balance), 0) FROM accounts),"
        " (SELECT COALESCE(MAX(transfers), 0) FROM counter), (SELECT COUNT(*) FROM journal),"
        " (SELECT COUNT(*) FROM entries), (SELECT COALESCE(SUM(amount), 0) FROM entries),"
        " (SELECT MAX(n) FROM came)"
    )
    accounts, money, transfers, journal, entries, moved, came = cursor.fetchone()
    wrong = []
    if accounts and money != ACCOUNTS * MONEY:
        wrong.append(f"{accounts} accounts hold {money}")
    if not transfers == journal == came or entries != 2 * transfers or moved:
        wrong.append(f"{transfers} transfers, {journal} journal lines ({came} came), {entries} entries over {moved}")
    return wrong
