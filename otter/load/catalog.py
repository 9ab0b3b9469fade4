"""The target's tables as the source's definitions meet them: read once, forgotten when they may have changed."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from otter.dialect import schema
from otter.dialect.connection import Connection, SqlError
from otter.dialect.schema import ForeignKey, TargetTable
from otter.errors import Retryable
from otter.load.shape import Shape, shape
from otter.model.batch import Table
from otter.model.config import PipelineTask


class Catalog:
    """Target tables by source definition, read once over a connection of its own; used by any thread."""

    def __init__(self, task: PipelineTask, timeout: float) -> None:
        self._task = task
        self._timeout = timeout
        self._lock = threading.Lock()
        self._shapes: dict[Table, Shape] = {}
        self._targets: dict[str, TargetTable] = {}
        self._foreign: list[ForeignKey] | None = None

    def shapes(self, tables: Iterable[Table]) -> list[Shape]:
        """In the order of ``tables``. Raises Fatal (missing table or column), Retryable."""
        with self._lock:
            wanted = list(tables)
            unknown = [table for table in wanted if table.address not in self._targets]
            if unknown:
                self._read(unknown)
            return [self._shape(table) for table in wanted]

    def _shape(self, table: Table) -> Shape:
        if table not in self._shapes:
            self._shapes[table] = shape(table, self._targets[table.address])
        return self._shapes[table]

    def _read(self, tables: list[Table]) -> None:
        try:
            with Connection(self._task.target, timeout=self._timeout) as connection:
                if self._foreign is None:
                    self._foreign = schema.foreign_keys(connection)
                for table in tables:
                    self._targets[table.address] = schema.read(connection, table.schema, table.name, self._foreign)
        except SqlError as error:
            raise error.translated(f"on data source {self._task.target.name}") from None

    def verify(self, shape: Shape, connection: Connection) -> None:
        """Raises Retryable when the table is no longer what ``shape`` was made for: a key added meanwhile makes
        collisions that the plan could not know."""
        table, target = shape.table, shape.target
        if schema.read(connection, table.schema, table.name, target.foreign) != target:
            self.forget()
            raise Retryable(f"target table {target.address} was changed", "the batch is planned again")

    def forget(self) -> None:
        """Reads again what is asked for next: the target's tables may have changed."""
        with self._lock:
            self._shapes.clear()
            self._targets.clear()
            self._foreign = None
