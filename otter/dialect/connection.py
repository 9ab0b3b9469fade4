"""One SQL connection, with PyMySQL's errors translated and the session set as apply needs it.

Not thread-safe: a connection belongs to one thread at a time.
"""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from otter.errors import Fatal, OtterError, Retryable
from otter.model.config import DataSource

#: Codes that may go away when the transaction is done again, and what each says of the server.
RETRYABLE: dict[int, str] = {
    0: "connection lost",  # PyMySQL says (0, '') when the connection is closed already
    1020: "record changed since last read",  # MariaDB 11: innodb_snapshot_isolation
    1021: "disk full",
    1037: "out of memory",
    1040: "too many connections",
    1041: "out of memory",
    1053: "server is shutting down",
    1158: "connection lost",
    1159: "connection lost",
    1160: "connection lost",
    1161: "connection lost",
    1180: "commit failed",
    1194: "table is marked as crashed",
    1203: "too many connections of this user",
    1205: "lock wait",
    1206: "lock table is full",
    1213: "deadlock",
    1290: "server is read-only",
    1317: "statement was interrupted",
    1412: "table definition has changed",
    1613: "deadlock",
    1614: "deadlock",
    1637: "too many transactions",
    1792: "transaction is read-only",
    1836: "server is read-only",
    1927: "connection was killed",
    1969: "statement ran too long",
    2002: "server cannot be reached",
    2003: "server cannot be reached",
    2006: "connection lost",
    2013: "connection lost",
    2014: "connection lost",
    2055: "connection lost",
    3024: "statement ran too long",
    3100: "commit failed",
    3101: "transaction was rolled back by the group",
    3572: "lock wait",
    4031: "connection was idle too long",
}
LOST = frozenset({0, 1053, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031})
DUPLICATE = frozenset({1022, 1062, 1557, 1586, 1761, 1762, 1859})
#: Codes that are about the row in the statement: another row may still be applied.
ROW = DUPLICATE | {
    1048, 1062, 1153, 1172, 1216, 1217, 1242, 1261, 1262, 1263, 1264, 1265, 1292, 1365, 1366, 1367, 1369, 1406,
    1411, 1416, 1425, 1441, 1451, 1452, 1526, 1557, 1569, 1644, 1690, 1748, 3037, 3140, 3141, 3146, 3156, 3157, 3819,
    3903, 4025, 4078, 4079, 4161,
}  # fmt: skip
#: Codes that say the table is not what we thought: missing schema, table, column or default, other column count.
MISFIT = frozenset({1049, 1054, 1136, 1146, 1347, 1356, 1364, 1906, 3105})

#: Zero and partial dates are kept, too long values are errors, 0 is a value of AUTO_INCREMENT, backslash escapes.
SQL_MODE = "NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES,ALLOW_INVALID_DATES"

#: Seconds after which the server drops a transaction that its client has forgotten.
IDLE = 60


class SqlError(OtterError):
    """The server (or the way to it) refused. ``code`` is MySQL's error number."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"MySQL error {code}: {text}")
        self.code = code
        self.text = text

    @property
    def is_duplicate(self) -> bool:
        return self.code in DUPLICATE

    @property
    def is_about_row(self) -> bool:
        return self.code in ROW

    @property
    def is_lost(self) -> bool:
        """The connection is gone; what its transaction did is unknown only if this came from COMMIT."""
        return self.code in LOST

    @property
    def is_retryable(self) -> bool:
        return self.code in RETRYABLE

    def translated(self, where: str) -> OtterError:
        """Retryable or Fatal, saying ``where`` ("on shop.orders", "on data source hangzhou")."""
        if self.is_retryable:
            return Retryable(f"{RETRYABLE[self.code]} {where} ({self.code}: {self.text})")
        return Fatal(f"MySQL error {self.code} {where}: {self.text}")


class Connection:
    """A session of ``source`` (clear password). ``timeout`` bounds every wait for an answer, seconds; ``lock_wait`` the
    wait for a row lock. ``execute`` counts *matched* rows (CLIENT.FOUND_ROWS), so a row that is there already
    with the new values still counts as found. Raises :class:`SqlError`, also from the constructor."""

    def __init__(
        self, source: DataSource, *, autocommit: bool = True, timeout: float = 60.0, lock_wait: int = 10
    ) -> None:
        self.source = source
        try:
            self._raw: pymysql.Connection[Any] = pymysql.connect(
                host=source.host, port=source.port, user=source.username, password=source.password,
                charset="utf8mb4", autocommit=autocommit, connect_timeout=min(max(int(timeout), 1), 10),
                read_timeout=timeout, write_timeout=timeout, client_flag=CLIENT.FOUND_ROWS, program_name="otter",
                local_infile=False,
            )  # fmt: skip
        except pymysql.MySQLError as error:
            raise _translated(error) from None
        except RuntimeError as error:  # PyMySQL: an authentication method that needs a package we lack
            raise SqlError(1045, str(error)) from None
        self.version = str(self._raw.get_server_info())  # type: ignore[no-untyped-call]
        self.is_mariadb = "mariadb" in self.version.lower()
        self.max_packet = 1 << 20  # until we know
        try:
            self._set_session(timeout, lock_wait)
            self.max_packet = int(self.value("SELECT @@max_allowed_packet"))
        except SqlError:
            self.close()
            raise

    def _set_session(self, timeout: float, lock_wait: int) -> None:
        """READ COMMITTED: no gap locks against the applications that write here too."""
        limits = (
            # A transaction whose client died without a word must not keep its locks for hours.
            f"max_statement_time={timeout * 0.9:.0f}, idle_transaction_timeout={IDLE:.0f}"
            if self.is_mariadb
            else f"wait_timeout={10 * IDLE:.0f}"
        )
        self.execute(
            f"SET NAMES utf8mb4, time_zone='+00:00', sql_mode='{SQL_MODE}', innodb_lock_wait_timeout={lock_wait}, "
            f"lock_wait_timeout={lock_wait}, {limits}"
        )
        self.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def execute(self, sql: bytes | str) -> int:
        """Runs one statement; returns matched rows. One that is too long for the server is not sent (the server would
        hang up): error 1153."""
        if len(sql) >= self.max_packet:
            raise SqlError(1153, f"a statement of {len(sql)} bytes is longer than max_allowed_packet={self.max_packet}")
        try:
            return int(self._raw.query(sql))
        except pymysql.MySQLError as error:
            raise _translated(error) from None

    def row(self, sql: bytes) -> tuple[Any, ...] | None:
        """The first row of a query whose literals are bytes of any kind (a cursor would want text)."""
        self.execute(sql)
        result = getattr(self._raw, "_result", None)
        found = getattr(result, "rows", None) or ()
        return tuple(found[0]) if found else None

    @property
    def changed(self) -> int:
        """Rows that the last UPDATE really changed (matched ones are what ``execute`` returned)."""
        result = getattr(self._raw, "_result", None)  # PyMySQL has no public way to the OK packet's text
        message = getattr(result, "message", b"") or b""
        numbers = re.findall(rb"\d+", message)  # "Rows matched: 1  Changed: 0  Warnings: 0", in any language
        return int(numbers[1]) if len(numbers) > 1 else 0

    def rows(self, sql: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query; ``%s`` in ``sql`` are ``args``, quoted."""
        try:
            with self._raw.cursor() as cursor:
                cursor.execute(sql, args or None)
                return list(cursor.fetchall())
        except pymysql.MySQLError as error:
            raise _translated(error) from None

    def named_rows(self, sql: str, args: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Rows of a query as dicts, column names in lower case (MySQL 8 returns information_schema's in upper)."""
        try:
            with self._raw.cursor() as cursor:
                cursor.execute(sql, args or None)
                names = [str(column[0]).lower() for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except pymysql.MySQLError as error:
            raise _translated(error) from None

    def value(self, sql: str, args: tuple[Any, ...] = ()) -> Any:
        """The first column of the first row, None without rows."""
        found = self.rows(sql, args)
        return found[0][0] if found else None

    def begin(self) -> None:
        self.execute("BEGIN")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        self.execute("ROLLBACK")

    @property
    def id(self) -> int:
        """The server's number of this session (``KILL`` takes it)."""
        return int(self._raw.thread_id())  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Ends the session; an open transaction is rolled back by the server. Never raises."""
        try:
            self._raw.close()
        except pymysql.MySQLError:
            self._raw._force_close()  # type: ignore[attr-defined]  # already broken: only the socket is left


def _translated(error: pymysql.MySQLError) -> SqlError:
    """``args`` are (code, text); a few of PyMySQL's own errors have text only, all of them after a lost connection."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 2013
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    return SqlError(code, text)
