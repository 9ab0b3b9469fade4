"""Are two tables equal, row by row and byte by byte? Ours alone: nothing of what it checks is used to check it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.cursors import SSCursor


@dataclass(frozen=True)
class Side:
    """One table as it is now: digest of each row by key, and a checksum over all, in key order."""

    rows: dict[tuple[str, ...], bytes]
    checksum: str


@dataclass(frozen=True)
class Comparison:
    name: str
    source: Side
    target: Side

    @property
    def different(self) -> list[tuple[str, ...]]:
        """Keys of rows that are missing, too many or not the same."""
        keys = {*self.source.rows, *self.target.rows}
        return sorted(key for key in keys if self.source.rows.get(key) != self.target.rows.get(key))

    @property
    def equal(self) -> bool:
        return self.source.checksum == self.target.checksum and not self.different

    def line(self) -> str:
        found = "equal" if self.equal else f"DIFFERENT in {len(self.different)} rows, first key {self.different[:1]}"
        return (
            f"{self.name:<38} {len(self.source.rows):>7,} rows {self.source.checksum[:16]}"
            f" | {len(self.target.rows):>7,} rows {self.target.checksum[:16]}  {found}"
        )


def compare(source: pymysql.Connection[Any], table: str, target: pymysql.Connection[Any], copy: str) -> Comparison:
    """Compares ``schema.table`` of two servers."""
    name = table if table == copy else f"{table} → {copy}"
    return Comparison(name, read(source, table), read(target, copy))


def read(connection: pymysql.Connection[Any], table: str) -> Side:
    """Reads the table in key order, streaming; every column as hex of its exact bytes."""
    schema, name = table.split(".")
    columns = _columns(connection, schema, name)
    keys = [column for column, _, key in columns if key]
    shown = ", ".join(_hex(column, kind) for column, kind, _ in columns)
    order = ", ".join(f"`{key}`" for key in keys)
    places = [index for index, (_, _, key) in enumerate(columns) if key]
    whole, rows = hashlib.sha256(), {}
    for row in _stream(connection, f"SELECT {shown} FROM `{schema}`.`{name}` ORDER BY {order}"):
        digest = hashlib.sha256("|".join("NULL" if cell is None else cell for cell in row).encode()).digest()
        whole.update(digest)
        rows[tuple(bytes.fromhex(row[place]).decode() for place in places)] = digest
    return Side(rows, whole.hexdigest())


def _columns(connection: pymysql.Connection[Any], schema: str, name: str) -> list[tuple[str, str, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type, column_key = 'PRI' FROM information_schema.columns"
            " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
            (schema, name),
        )
        return [(str(column), str(kind).lower(), bool(key)) for column, kind, key in cursor.fetchall()]


def _hex(column: str, kind: str) -> str:
    """HEX of a number would round it, so all but strings of bytes and characters become text first."""
    if kind.endswith(("blob", "binary", "char", "text")):
        return f"HEX(`{column}`)"
    return f"HEX(CAST(`{column}` AS CHAR))"


def _stream(connection: pymysql.Connection[Any], query: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(query)
        yield from cursor
