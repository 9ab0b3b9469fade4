"""Groups into statement text: multi-row where a key names the rows, else a row at a time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from otter.dialect import sql
from otter.dialect.sql import Row
from otter.load.group import Group
from otter.load.shape import TEXT, Shape, exact_float, picker
from otter.model.batch import Kind

#: Rows in an UPDATE: the server walks its CASE for every row, so longer is slower (measured: best at 100 to 200).
UPDATE_ROWS = 128


@dataclass(frozen=True, eq=False)
class Statement:
    """``text`` applies ``rows`` of ``group``; when all is as the source had it, it matches ``len(rows)`` rows."""

    group: Group
    rows: Sequence[Any]
    text: bytes


def statements(group: Group, size: int, limit: int) -> list[Statement]:
    """Statements of at most ``size`` rows and ``limit`` bytes."""
    shape, match = group.shape, group.shape.match
    if group.kind is Kind.INSERT:
        runs = sql.cut(group.rows, size, limit, lambda rows: insert(shape, rows))
    elif match is None or any(ordinal in group.columns for ordinal in match.ordinals):
        # Nothing names the rows, or their name changes, which CASE would see half-way.
        return [Statement(group, [row], single(group, row)) for row in group.rows]
    elif group.kind is Kind.DELETE:
        locate = shape.locate
        runs = sql.cut(group.rows, size, limit, lambda rows: sql.delete(shape.into, key(shape), [*map(locate, rows)]))
    else:
        runs = sql.cut(group.rows, min(size, UPDATE_ROWS), limit, lambda rows: _update(group, rows))
    return [Statement(group, rows, text) for rows, text in runs]


def insert(shape: Shape, rows: Sequence[Row]) -> bytes:
    return sql.insert(shape.into, [shape.columns[i] for i in shape.written], [*map(shape.pick, rows)])


def _update(group: Group, rows: Sequence[tuple[Row, Row]]) -> bytes:
    shape, pick = group.shape, picker(group.columns, -1)
    values = [shape.locate(before) for before, _ in rows]
    columns = [shape.columns[i] for i in group.columns]
    return sql.update(shape.into, key(shape), values, columns, [pick(after) for _, after in rows])


def single(group: Group, row: Any) -> bytes:
    """The statement for one row of the group."""
    shape = group.shape
    if group.kind is Kind.INSERT:
        return insert(shape, [row])
    if group.kind is Kind.DELETE:
        return b"DELETE FROM " + shape.into + b" WHERE " + where(shape, row)
    before, after = row
    return update_one(shape, before, after, group.columns)


def update_one(shape: Shape, before: Row, after: Row, columns: Sequence[int]) -> bytes:
    """Sets ``columns`` of the row that ``before`` names."""
    sets = b",".join([shape.columns[i] + b"=" + after[i] for i in columns])
    return b"UPDATE " + shape.into + b" SET " + sets + b" WHERE " + where(shape, before)


def select_one(shape: Shape, row: Row) -> bytes:
    """The row as it is on the target, locked."""
    columns = b",".join([shape.columns[i] for i in shape.written])
    return b"SELECT " + columns + b" FROM " + shape.into + b" WHERE " + where(shape, row) + b" FOR UPDATE"


def key(shape: Shape) -> list[bytes]:
    """Quoted names of the columns that name a row."""
    return [shape.columns[i] for i in shape.match.ordinals] if shape.match else []


def where(shape: Shape, row: Row) -> bytes:
    """Names one row: by its key, else by all of its values and LIMIT 1 (equal rows are interchangeable)."""
    if shape.match:
        return sql.among(key(shape), [shape.locate(row)])
    return b" AND ".join([_same(shape, i, row[i]) for i in shape.written]) + b" LIMIT 1"


def _same(shape: Shape, ordinal: int, literal: bytes) -> bytes:
    """An exact, NULL-safe comparison: a FLOAT is not its decimal text, and collations equate what differs."""
    column = shape.columns[ordinal]
    kind = shape.target.by_name[shape.table.columns[ordinal].name.lower()].data_type
    if kind == "float":
        return column + b"<=>" + exact_float(literal)
    if kind == "json":
        return column + b"<=>CAST(" + literal + b" AS JSON)"
    if kind in TEXT:
        raw = b"CAST(CONVERT(%b USING utf8mb4) AS BINARY)"
        return column + b"<=>" + literal + b" AND " + raw % column + b"<=>" + raw % literal
    return column + b"<=>" + literal
