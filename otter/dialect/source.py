"""What a source says about itself."""

from __future__ import annotations

import time

from otter.dialect.connection import Connection
from otter.model.batch import Position
from otter.model.stats import Check


def head(connection: Connection) -> Position:
    rows = connection.rows("SHOW MASTER STATUS")
    gtid = str(connection.value("SELECT @@gtid_binlog_pos"))
    return Position(gtid, str(rows[0][0]), int(rows[0][1]))


def binlogs(connection: Connection) -> list[str]:
    return [str(row[0]) for row in connection.rows("SHOW BINARY LOGS")]


def clock_offset(connection: Connection) -> float:
    before = time.time()
    there = float(connection.value("SELECT UNIX_TIMESTAMP(NOW(6))"))
    return there - (before + time.time()) / 2


def check(connection: Connection, role: str) -> list[Check]:
    return []


def check_tables(connection: Connection, names: list[str], role: str) -> list[Check]:
    return []
