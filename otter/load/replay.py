"""Inserts as the row images that came, in a BINLOG statement: where they surely mean the same on the target. Pure.

The target stores them as they are: nothing is decoded, escaped or parsed, which is most of what a bulk insert costs.
Keys and foreign keys are checked by the engine as ever; CHECK constraints are not asked, so a table that has any (but
for JSON columns) gets SQL. Whatever the server has against it, the same rows go as SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from otter.binlog import types as t
from otter.binlog.charset import BINARY, charset_of
from otter.binlog.replay import TYPES, insert
from otter.dialect.schema import TargetColumn, TargetTable
from otter.load.group import Decode, Group, joined
from otter.load.shape import Shape
from otter.load.statement import Statement, statements
from otter.model.batch import Change, Column, Kind, Table

#: Fewer rows are as quick as SQL: each table costs a look at its definition.
LEAST_ROWS = 200
#: Bytes of row images in a statement (base64 makes a third more of them).
STATEMENT_BYTES = 1 << 20

_NAMES = {
    t.TINY: "tinyint", t.SHORT: "smallint", t.INT24: "mediumint", t.LONG: "int", t.LONGLONG: "bigint",
    t.FLOAT: "float", t.DOUBLE: "double", t.YEAR: "year", t.DATE: "date",
}  # fmt: skip
_TIMES = {t.TIMESTAMP2: "timestamp", t.DATETIME2: "datetime", t.TIME2: "time"}
_BLOBS = {1: "tiny", 2: "", 3: "medium", 4: "long"}
#: Bytes of a character, at most.
_WIDTHS = {"utf8mb4": 4, "utf8mb3": 3, "utf8": 3, "latin1": 1, "ascii": 1, "binary": 1}
_LENGTH = re.compile(r"\((\d+)\)")


@dataclass(frozen=True, eq=False)
class Replay:
    """``text`` inserts all ``rows`` rows of ``changes``, or fails. ``group`` holds none of them."""

    group: Group
    changes: Sequence[Change]
    rows: int
    text: bytes
    decode: Decode

    def plain(self, size: int, limit: int) -> list[Statement]:
        """The same rows as SQL."""
        group = self.group
        rows = self.decode(joined(self.changes))
        return statements(Group(group.shape, group.kind, rows, group.columns, group.unchecked), size, limit)


def replays(group: Group, changes: Sequence[Change], decode: Decode, server_id: int) -> Iterator[Replay]:
    """Statements for ``changes``, all with whole images of the same table."""
    run: list[Change] = []
    size = 0
    for change in changes:
        if run and size + len(change.body) > STATEMENT_BYTES:
            yield _replay(group, run, decode, server_id)
            run, size = [], 0
        run.append(change)
        size += len(change.body)
    if run:
        yield _replay(group, run, decode, server_id)


def _replay(group: Group, changes: list[Change], decode: Decode, server_id: int) -> Replay:
    text = insert(group.shape.table, changes, server_id, unchecked=group.unchecked)
    return Replay(group, changes, sum(change.rows for change in changes), text, decode)


def is_replayable(shape: Shape, changes: Sequence[Change]) -> bool:
    """Whether these changes of a table are enough inserts of whole images that the target's table takes as they are."""
    if changes[0].kind is not Kind.INSERT or sum(change.rows for change in changes) < LEAST_ROWS:
        return False
    whole = (1 << len(shape.columns)) - 1
    images = {change.after for change in changes}
    return len(images) == 1 and int.from_bytes(images.pop(), "little") & whole == whole and fits(shape)


def fits(shape: Shape) -> bool:
    """The same columns in the same order with the same types and character sets, and nothing that only SQL sets off."""
    table, target = shape.table, shape.target
    return (
        table.mariadb
        and target.engine.lower() == "innodb"
        and not target.triggers
        and not target.checks
        and len(table.columns) == len(target.columns)
        and _same_columns(table, target)
    )


def _same_columns(table: Table, target: TargetTable) -> bool:
    return all(_same(column, goal) for column, goal in zip(table.columns, target.columns, strict=True))


def _same(column: Column, goal: TargetColumn) -> bool:
    return (
        column.type in TYPES
        and column.name.lower() == goal.name.lower()
        and not goal.generated
        and (goal.nullable or not column.nullable)
        and _same_type(column, goal)
    )


def _same_type(column: Column, goal: TargetColumn) -> bool:
    kind, meta, text = column.type, column.meta, goal.type.lower()
    if kind in _NAMES:
        return goal.data_type == _NAMES[kind] and (kind == t.YEAR or column.unsigned == ("unsigned" in text))
    if kind == t.NEWDECIMAL:
        return text.startswith(f"decimal({meta & 255},{meta >> 8})") and column.unsigned == ("unsigned" in text)
    if kind in _TIMES:
        return text == _TIMES[kind] + (f"({meta})" if meta else "")
    if kind == t.BIT:
        return text == f"bit({8 * (meta >> 8) + (meta & 255)})"
    if kind in (t.ENUM, t.SET):
        return _same_labels(column, goal)
    return _same_text(column, goal)


def _same_labels(column: Column, goal: TargetColumn) -> bool:
    """Plain ASCII labels only: others would have to be compared through two character sets."""
    if not all(label.isascii() and label.isalnum() for label in column.labels):
        return False
    labels = ",".join(f"'{label.decode()}'" for label in column.labels)
    return goal.type == f"{'enum' if column.type == t.ENUM else 'set'}({labels})"


def _same_text(column: Column, goal: TargetColumn) -> bool:
    charset = "binary" if column.collation in (0, BINARY) else charset_of(column.collation, mariadb=True)
    of_goal = goal.collation.partition("_")[0] or "binary"
    if charset.replace("utf8mb3", "utf8") != of_goal.replace("utf8mb3", "utf8"):
        return False
    is_binary = charset == "binary"
    if column.type == t.BLOB:
        return goal.data_type == _BLOBS[column.meta] + ("blob" if is_binary else "text")
    if goal.data_type not in (("binary", "varbinary") if is_binary else ("char", "varchar")):
        return False
    length = _LENGTH.search(goal.type)
    same_kind = goal.data_type.startswith("var") == (column.type != t.STRING)
    return same_kind and length is not None and int(length[1]) * _WIDTHS.get(charset, 0) == column.meta
