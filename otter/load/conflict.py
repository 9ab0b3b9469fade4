"""The slow path: where reality differs from what a statement expected, row by row (D3, D9).

| change | found | done with policy SOURCE |
|---|---|---|
| INSERT | the same row | nothing |
| INSERT | another row under its key | overwritten by key, logged |
| INSERT, UPDATE | its values belong to another row by another unique key | parked; the other row stays |
| UPDATE | no row | the after image is inserted, logged |
| DELETE | no row | nothing, logged |
| any | the server refuses the row (NULL, too long, foreign key, ...) | parked |

Policy STOP refuses the first difference; ``onRowError`` STOP refuses instead of parking.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from otter.dialect.connection import Connection, SqlError
from otter.dialect.mark import Conflict
from otter.dialect.sql import Row
from otter.errors import Fatal
from otter.load import statement
from otter.load.group import Group
from otter.load.parking import Parking, key_text, old_and_new, text
from otter.load.shape import Shape
from otter.model.batch import Kind
from otter.model.config import ConflictPolicy, OnRowError, PipelineParameters


class RowByRow:
    """Applies rows of a group one by one on ``connection``. ``log`` collects decisions, to be written with the rows."""

    def __init__(self, connection: Connection, parameters: PipelineParameters, parking: Parking) -> None:
        self._connection = connection
        self._parameters = parameters
        self._parking = parking
        self.log: list[Conflict] = []

    def apply(self, group: Group, rows: Iterable[Any]) -> None:
        """Raises Fatal where a policy says STOP, and :class:`SqlError` that is not about a row."""
        for row in rows:
            try:
                self._one(group, row)
            except SqlError as error:
                if not error.is_about_row:
                    raise
                self._refused(group, row, error)

    def _one(self, group: Group, row: Any) -> None:
        if group.kind is Kind.INSERT:
            self._insert(group, row)
        elif self._connection.execute(statement.single(group, row)) == 0:
            before, after = old_and_new(group.kind, row)
            self._note(group, before or (), None, "ignored" if after is None else "inserted")
            if after is not None:
                self._insert(group, after)

    def _insert(self, group: Group, after: Row) -> None:
        shape = group.shape
        try:
            self._connection.execute(statement.insert(shape, [after]))
            return
        except SqlError as error:
            current = self._current(shape, after) if error.is_duplicate and shape.match else None
            if current is None:
                raise  # another unique key: that row is not ours to overwrite
        matched = self._connection.execute(statement.update_one(shape, after, after, shape.written))
        if matched and self._connection.changed:
            self._note(group, after, current, "overwritten")

    def _current(self, shape: Shape, row: Row) -> str | None:
        """The target's row under the key of ``row``, as JSON of texts."""
        found = self._connection.row(statement.select_one(shape, row))
        if found is None:
            return None
        names = [shape.table.columns[i].name for i in shape.written]
        return json.dumps(dict(zip(names, map(_shown, found), strict=True)), ensure_ascii=False)

    def _note(self, group: Group, row: Row, found: str | None, decision: str) -> None:
        shape = group.shape
        if self._parameters.conflict_policy is ConflictPolicy.STOP:
            what = "differs from" if found else "is missing on"
            raise Fatal(
                f"row {key_text(shape, row)} of {shape.target.address} {what} the target ({group.kind.name})",
                "mend the row, or set conflictPolicy to SOURCE",
            )
        target = shape.target
        self.log.append(Conflict(target.schema, target.name, key_text(shape, row), group.kind.name, found, decision))

    def _refused(self, group: Group, row: Any, error: SqlError) -> None:
        shape = group.shape
        before, after = old_and_new(group.kind, row)
        if self._parameters.on_row_error is OnRowError.STOP:
            raise Fatal(
                f"row {key_text(shape, before or after or ())} of {shape.target.address} cannot be applied "
                f"({group.kind.name}): {error.message}",
                "mend the target, or set onRowError to PARK",
            ) from None
        self._parking.add(group, row, error.message, self._current(shape, before or after or ()))


def _shown(value: object) -> str | None:
    if value is None:
        return None
    return text(b"_binary'" + value + b"'") if isinstance(value, bytes) else str(value)
