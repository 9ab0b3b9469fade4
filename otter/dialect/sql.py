"""Statement text as bytes, from rows of SQL literals. Pure.

Nothing here is a blind upsert: an INSERT fails on an existing key and an UPDATE only touches the rows that its key
names (DESIGN D3). ``UPDATE … CASE`` was measured as fast as ``INSERT … ON DUPLICATE KEY UPDATE`` or faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

#: SQL literals of one row, by ordinal of the source's columns. None = the column was not in the image.
Row = tuple[bytes, ...]

NULL = b"NULL"


def name(identifier: str) -> bytes:
    """An identifier in backticks."""
    return b"`" + identifier.replace("`", "``").encode() + b"`"


def table(schema: str, table_name: str) -> bytes:
    return name(schema) + b"." + name(table_name)


def literal(value: str | bytes | float | None) -> bytes:
    """A literal of our own values (for sessions with backslash escapes and utf8mb4)."""
    if value is None:
        return NULL
    if isinstance(value, bytes):
        return b"x'" + value.hex().encode() + b"'"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
        return b"'" + escaped.encode("utf-8", "backslashreplace") + b"'"
    return repr(value).encode()


def insert(into: bytes, columns: Sequence[bytes], rows: Sequence[Sequence[bytes]]) -> bytes:
    """Multi-row INSERT; ``rows`` hold the literals of exactly ``columns``."""
    head = b"INSERT INTO " + into + b" (" + b",".join(columns) + b") VALUES ("
    return head + b"),(".join(map(b",".join, rows)) + b")"


def delete(of: bytes, key: Sequence[bytes], values: Sequence[Sequence[bytes]]) -> bytes:
    """DELETE of the rows whose ``key`` columns hold one of ``values``."""
    return b"DELETE FROM " + of + b" WHERE " + among(key, values)


def among(key: Sequence[bytes], values: Sequence[Sequence[bytes]]) -> bytes:
    """``key IN (…)``; one row is a plain comparison."""
    if len(values) == 1:
        return b" AND ".join([column + b"=" + value for column, value in zip(key, values[0], strict=True)])
    if len(key) == 1:
        return key[0] + b" IN (" + b",".join([value[0] for value in values]) + b")"
    return b"(" + b",".join(key) + b") IN ((" + b"),(".join(map(b",".join, values)) + b"))"


def update(
    of: bytes,
    key: Sequence[bytes],
    values: Sequence[Sequence[bytes]],
    columns: Sequence[bytes],
    rows: Sequence[Sequence[bytes]],
) -> bytes:
    """UPDATE of many rows by key: ``SET c = CASE k WHEN … THEN … END``. ``rows`` hold the literals of exactly
    ``columns``, none of which may be in ``key`` when there are several rows."""
    sets = [
        column + b"=" + _choice(key, values, [row[i] for row in rows]) for i, column in enumerate(columns)
    ]  # fmt: skip
    return b"UPDATE " + of + b" SET " + b",".join(sets) + b" WHERE " + among(key, values)


def _choice(key: Sequence[bytes], values: Sequence[Sequence[bytes]], literals: Sequence[bytes]) -> bytes:
    first = literals[0]
    if literals.count(first) == len(literals):
        return first
    if len(key) == 1:
        whens = [b" WHEN %b THEN %b" % (value[0], new) for value, new in zip(values, literals, strict=True)]
        return b"CASE " + key[0] + b"".join(whens) + b" END"
    whens = [b" WHEN %b THEN %b" % (among(key, [value]), new) for value, new in zip(values, literals, strict=True)]
    return b"CASE" + b"".join(whens) + b" END"


def cut(
    rows: Sequence[T], size: int, limit: int, text: Callable[[Sequence[T]], bytes]
) -> list[tuple[Sequence[T], bytes]]:
    """``rows`` in runs of at most ``size`` whose statement ``text(run)`` is at most ``limit`` bytes (one row may be
    longer: the server then says so for that row)."""
    done: list[tuple[Sequence[T], bytes]] = []
    for start in range(0, len(rows), size):
        run = rows[start : start + size]
        sql = text(run)
        if len(sql) > limit and len(run) > 1:
            done += cut(run, (len(run) + 1) // 2, limit, text)
        else:
            done.append((run, sql))
    return done
