"""Opens a dump connection with pymysqlreplication, and hands over its socket.

The only file that imports the library's reader: it logs in, negotiates checksums, registers us as a replica, asks for
heartbeats and for the dump; it never reads an event, so its silent reconnect never happens."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysqlreplication import BinLogStreamReader

from otter.binlog.packet import ServerError
from otter.binlog.position import describe, is_empty, is_mariadb
from otter.errors import Fatal, OtterError, Retryable
from otter.model.batch import Position
from otter.model.config import DataSource

DENIED = frozenset({1044, 1045, 1142, 1227, 1698, 3118})
PURGED = ("purged", "could not find first log file", "could not find gtid state", "too old")
SAME_ID = ("same server_uuid", "same server_id", "server_id/server_uuid", "slave with the same")
ERROR_SAME_ID = 4052  # MariaDB
BINLOG_FATAL = 1236  # the code for everything that goes wrong in a dump


@dataclass
class Dump:
    """A connection in the middle of a dump. ``gtid`` is the GTID position of the start, where MariaDB could tell."""

    socket: socket.socket
    gtid: str
    _connection: Any

    def close(self) -> None:
        self._connection._force_close()


def open_dump(source: DataSource, server_id: int, position: Position, heartbeat: float) -> Dump:
    """Connects and asks for the binlog from ``position`` on. Raises Retryable or Fatal, never with the password."""
    if is_empty(position):
        raise Fatal("there is no position to read the binlog from", "give a GTID position or a file and offset")
    try:
        return _open(source, server_id, position, heartbeat)
    except pymysql.MySQLError as error:
        code, text = (*error.args, "")[:2] if error.args else (0, "")
        raise translate(source, server_id, position, int(code or 0), str(text)) from None
    except ValueError as error:  # the library's GTID sets know no tags
        raise Fatal(f"{describe(position)} cannot be asked for: {error}", "start from a file and offset") from None
    except (OSError, RuntimeError) as error:
        raise Retryable(f"cannot open the binlog of {source.name}: {error}") from None


def _open(source: DataSource, server_id: int, position: Position, heartbeat: float) -> Dump:
    opened: list[Any] = []

    def connect(**settings: Any) -> Any:
        if opened:
            raise pymysql.OperationalError(2013, "a second connection was asked for")
        opened.append(pymysql.connect(**settings))
        return opened[0]

    reader = BinLogStreamReader(
        connection_settings={
            "host": source.host, "port": source.port, "user": source.username, "password": source.password,
            "connect_timeout": 10, "read_timeout": max(10.0, 10 * heartbeat), "charset": "utf8mb4",
        },
        server_id=server_id,
        blocking=True,
        resume_stream=True,
        pymysql_wrapper=connect,
        slave_heartbeat=heartbeat,
        report_slave={"hostname": "otter"},
        enable_logging=False,
        **_place(position),
    )  # fmt: skip
    try:
        gtid = "" if position.gtid else _gtid_of(source, position)
        reader._BinLogStreamReader__connect_to_stream()
    except BaseException:
        for connection in opened:
            connection._force_close()
        raise
    dump = opened[0]
    dump._sock.settimeout(10 * heartbeat)
    return Dump(dump._sock, gtid, dump)


def _place(position: Position) -> dict[str, Any]:
    if position.gtid:
        return {"auto_position": position.gtid, "is_mariadb": is_mariadb(position.gtid)}
    if position.offset >> 32:
        raise Fatal(
            f"{describe(position)} cannot be asked for: the protocol has 32 bits for an offset",
            "start from a GTID position",
        )
    # With is_mariadb the library would ignore file and offset and start at the first binlog.
    return {"log_file": position.file, "log_pos": position.offset, "is_mariadb": False}


def _gtid_of(source: DataSource, position: Position) -> str:
    """MariaDB knows the GTID position of a file and offset; others answer with an error, and that is fine."""
    with pymysql.connect(
        host=source.host, port=source.port, user=source.username, password=source.password, connect_timeout=10,
        read_timeout=60,
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute("SELECT VERSION()")
        if "MariaDB" not in str(cursor.fetchone()):
            return ""
        cursor.execute("SELECT BINLOG_GTID_POS(%s, %s)", (position.file, position.offset))
        row = cursor.fetchone()
        return str(row[0] or "") if row else ""


def translate(source: DataSource, server_id: int, position: Position, code: int, text: str) -> OtterError:
    """A server's or client's error as ours, with a sentence that says what to do."""
    low = text.lower()
    who = f"{source.username}@{source.host}:{source.port}"
    if code in DENIED:
        return Fatal(
            f"the source {source.name} refuses {who} (error {code})",
            f"check its password and GRANT REPLICATION SLAVE ON *.* TO '{source.username}'",
        )
    if code == ERROR_SAME_ID or any(words in low for words in SAME_ID):
        return Retryable(
            f"server id {server_id} is taken: another replica of {source.name} uses it",
            "if it comes again, find the other one (SHOW SLAVE HOSTS)",
        )
    if code == BINLOG_FATAL:
        return _dump_error(source, position, text)
    if code in (1029, 1373, 1380, 1381):
        return Fatal(f"{source.name} cannot send its binlog: {text}", "start it with --log-bin")
    return Retryable(f"cannot read the binlog of {source.name} ({who}): {text or 'no answer'} (error {code})")


def _dump_error(source: DataSource, position: Position, text: str) -> OtterError:
    low = text.lower()
    if "checksum" in low:
        return Retryable(f"{source.name} changed binlog_checksum: {text}")
    if "max_allowed_packet" in low:
        return Fatal(f"{source.name} cannot send an event: {text}", "SET GLOBAL max_allowed_packet=1073741824 there")
    if any(words in low for words in PURGED):
        return Fatal(
            f"{source.name} has purged the binlog of position {describe(position)}",
            "copy the tables anew and start from now, and keep binlogs longer (binlog_expire_logs_seconds)",
        )
    return Fatal(
        f"{source.name} has no binlog for position {describe(position)}: {text}",
        "is it the right server, and did it lose its last transactions in a crash?",
    )


def dump_error(source: DataSource, server_id: int, position: Position, error: ServerError) -> OtterError:
    return translate(source, server_id, position, error.code, error.text)
